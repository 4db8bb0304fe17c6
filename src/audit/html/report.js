/* Draws the calendar: a row a series, or of one series a row a month; a column a day. */
(() => {
  const DAY_MS = 86_400_000;
  const data = JSON.parse(document.getElementById("days").textContent);
  const holder = document.querySelector(".heat");
  if (holder === null || data.rows.length === 0) return;
  const said = document.querySelector(".heat-said");
  const rows = data.rows.map(([name, from, days]) => ({ name, from, levels: levelsOf(days) }));
  const isOne = rows.length === 1;
  const first = rows.reduce((least, { from }) => Math.min(least, from), Infinity);
  const last = rows.reduce((most, { from, levels }) => Math.max(most, from + levels.length - 1), 0);

  /** A level a day: -1 outside, 0 nothing is there … 9 all. */
  function levelsOf(text) {
    const levels = [];
    for (const [, letter, times] of text.matchAll(/([a-j-])(\d*)/g)) {
      const level = letter === "-" ? -1 : letter.charCodeAt(0) - 97;
      for (let n = Number(times || 1); n > 0; n--) levels.push(level);
    }
    return levels;
  }

  const dateOf = (day) => new Date(day * DAY_MS).toISOString().slice(0, 10);
  const levelAt = (row, day) => row.levels[day - row.from] ?? -1;

  /** Of one series its months as rows, else its series. */
  function linesOf() {
    if (!isOne) {
      return rows.map((row) => ({ label: row.name, start: first, row, days: last - first + 1 }));
    }
    const lines = [];
    for (let day = first; day <= last;) {
      const [year, month] = dateOf(day).split("-").map(Number);
      const start = Date.UTC(year, month - 1, 1) / DAY_MS;
      const days = Date.UTC(year, month, 1) / DAY_MS - start;
      lines.push({ label: dateOf(start).slice(0, 7), start, row: rows[0], days });
      day = start + days;
    }
    return lines;
  }

  const lines = linesOf();
  const columns = lines.reduce((most, { days }) => Math.max(most, days), 0);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", holder.dataset.label);
  holder.append(canvas);
  let layout = null;

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const ratio = Math.max(1, Math.round(devicePixelRatio));
    const width = holder.clientWidth;
    const isLabelled = lines.length <= 120;
    const longest = lines.reduce((most, { label }) => Math.max(most, label.length), 0);
    const left = isLabelled ? Math.min(width * 0.34, Math.max(60, longest * 7 + 12)) : 0;
    const cell = Math.max(isOne ? 7 : 1, Math.min(28, (width - left) / columns));
    const x = (d) => left + Math.round(d * cell);
    const height = isOne
      ? 18
      : lines.length <= 12
      ? 20
      : lines.length <= 120
      ? 12
      : lines.length <= 1200
      ? 3
      : 1;
    const top = 18;
    layout = { left, top, cell, height };
    canvas.width = x(columns) * ratio;
    canvas.height = (top + lines.length * height) * ratio;
    canvas.style.width = `${x(columns)}px`;
    canvas.style.height = `${top + lines.length * height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.font = `11px ${colour("--sans")}`;
    context.textBaseline = "middle";
    context.fillStyle = colour("--soft");
    drawTop(context);
    const fills = { all: colour("--ok"), none: colour("--missing"), part: colour("--some") };
    const space = cell >= 6 && height >= 6 ? 1 : 0;
    lines.forEach(({ label, start, row, days }, l) => {
      const y = top + l * height;
      if (isLabelled) {
        context.globalAlpha = 1;
        context.fillStyle = colour("--soft");
        context.fillText(shortened(context, label, left - 8), 0, y + height / 2);
      }
      for (let d = 0; d < days;) {
        const level = levelAt(row, start + d);
        let run = 1;
        while (space === 0 && d + run < days && levelAt(row, start + d + run) === level) run++;
        if (level >= 0) {
          context.fillStyle = level === 9 ? fills.all : level === 0 ? fills.none : fills.part;
          // What is whole stands back; the less there is of a day, the stronger it shows.
          context.globalAlpha = level === 9 ? 0.42 : level === 0 ? 1 : 1 - level / 14;
          context.fillRect(x(d), y, x(d + run) - x(d) - space, height - space);
        }
        d += run;
      }
    });
    context.globalAlpha = 1;
  }

  function shortened(context, text, width) {
    let short = text;
    while (short.length > 3 && context.measureText(short).width > width) short = short.slice(0, -2);
    return short === text ? text : `${short}…`;
  }

  /** Months above the days, or of one series the days of the month. */
  function drawTop(context) {
    const { left, cell } = layout;
    let free = 0;
    for (let d = 0; d < columns; d++) {
      const text = isOne
        ? (d === 0 || d % 5 === 4 ? String(d + 1) : "")
        : dateOf(first + d).endsWith("-01") || d === 0
        ? dateOf(first + d).slice(0, 7)
        : "";
      const x = left + d * cell;
      if (text === "" || x < free || x + 48 > left + columns * cell && !isOne && d > 0) continue;
      context.fillText(text, x, 8);
      free = x + context.measureText(text).width + 8;
    }
  }

  const WORDS = ["nothing of it is there", "", "", "", "", "", "", "", "", "complete"];

  function tell(event) {
    const box = canvas.getBoundingClientRect();
    const l = Math.floor((event.clientY - box.top - layout.top) / layout.height);
    const d = Math.floor((event.clientX - box.left - layout.left) / layout.cell);
    const line = lines[l];
    const level = line === undefined || d < 0 || d >= line.days
      ? -1
      : levelAt(line.row, line.start + d);
    if (level < 0) return;
    const what = WORDS[level] || `partly there (about ${Math.round(level / 9 * 100)} %)`;
    said.textContent = `${line.row.name}, ${dateOf(line.start + d)}: ${what}`;
  }

  canvas.addEventListener("pointermove", tell);
  canvas.addEventListener("pointerdown", tell);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
