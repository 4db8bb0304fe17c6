/* The audit page: gives the files to a worker, shows how far it is, and the report. */
(() => {
  const at = (id) => document.getElementById(id);
  const [form, input, drop, start, stop] = ["form", "files", "drop", "start", "stop"].map(at);
  const [state, bar, said, hints, result] = ["state", "bar", "said", "hints", "result"].map(at);
  const source = new Blob([at("worker").textContent], { type: "text/javascript" });
  const workerUrl = URL.createObjectURL(source);
  let chosen = [];
  let worker = null;
  let urls = [];

  for (const zone of Intl.supportedValuesOf("timeZone")) {
    const option = document.createElement("option");
    option.value = zone;
    at("zones").append(option);
  }

  function choose(files) {
    if (files.length === 0) return;
    chosen = [...files];
    const bytes = chosen.reduce((sum, { size }) => sum + size, 0);
    const names = chosen.slice(0, 3).map(({ name }) => name).join(", ");
    const more = chosen.length > 3 ? ` and ${chosen.length - 3} more` : "";
    at("chosen").textContent = `${names}${more} (${sizeOf(bytes)})`;
    start.disabled = false;
  }

  function sizeOf(bytes) {
    return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  function end() {
    worker?.terminate();
    worker = null;
    stop.hidden = true;
    start.disabled = chosen.length === 0;
  }

  function tell(text, lines = [], isFailure = false) {
    state.hidden = false;
    state.classList.toggle("failed", isFailure);
    said.textContent = text;
    hints.replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }

  /** Names are told apart where two files of other folders have the same. */
  function named(files) {
    const seen = new Map();
    return files.map((blob) => {
      const count = seen.get(blob.name) ?? 0;
      seen.set(blob.name, count + 1);
      return { name: count === 0 ? blob.name : `${count + 1}/${blob.name}`, blob };
    });
  }

  function judge() {
    end();
    result.hidden = true;
    start.disabled = true;
    stop.hidden = false;
    bar.hidden = false;
    bar.removeAttribute("value");
    tell("Looking at what the files are …");
    const total = chosen.reduce((sum, { size }) => sum + size, 0);
    const startedAt = performance.now();
    worker = new Worker(workerUrl);
    worker.onmessage = ({ data }) => {
      if (data.kind === "progress") {
        // What is packed is more than the file's size: how far it is, is not known then.
        if (data.bytes <= total) bar.value = data.bytes / total;
        const seconds = (performance.now() - startedAt) / 1000;
        const rate = Math.round(data.rows / seconds).toLocaleString("en");
        return tell(`${data.rows.toLocaleString("en")} rows, ${rate} a second`);
      }
      end();
      bar.hidden = true;
      if (data.kind === "failed") return tell(data.message, data.hint, true);
      show(data, (performance.now() - startedAt) / 1000);
    };
    worker.onerror = (event) => {
      end();
      bar.hidden = true;
      tell(`It failed here: ${event.message}`, [], true);
    };
    const said = {};
    for (const field of document.querySelectorAll("[data-said]")) {
      if (field.value.trim() !== "") said[field.dataset.said] = field.value.trim();
    }
    worker.postMessage({
      files: named(chosen),
      timezone: at("timezone").value.trim(),
      target: Number(at("target").value),
      said,
      nowMs: Date.now(),
    });
  }

  function show({ html, json, faults }, seconds) {
    const { rows } = JSON.parse(json);
    tell(
      `${rows.toLocaleString("en")} rows in ${seconds.toFixed(1)} s`,
      faults.slice(0, 20).map((fault) => `Not all could be read: ${fault}`),
      faults.length > 0,
    );
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [[html, "text/html"], [json, "application/json"]].map(([text, type]) =>
      URL.createObjectURL(new Blob([text], { type }))
    );
    [at("save").href, at("json").href] = urls;
    result.hidden = false;
    // A frame that was hidden in between would stay blank: each report has one of its own.
    const frame = at("report").cloneNode();
    frame.srcdoc = html;
    at("report").replaceWith(frame);
    document.body.dataset.done = "true";
  }

  input.addEventListener("change", () => choose(input.files));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    delete document.body.dataset.done;
    judge();
  });
  stop.addEventListener("click", () => {
    end();
    bar.hidden = true;
    tell("Stopped.");
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      choose(event.dataTransfer.files);
      if (chosen.length > 0) form.requestSubmit();
    });
  }
})();
