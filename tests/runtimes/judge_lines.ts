/** What each runtime is asked, and how it answers: the same code on all of them. */
import { createJudge, type JudgeOptions, restoreJudge } from "../../src/toolkit.ts";

/** Raw records to be judged, by a new judge or by one that goes on. */
export type JudgeRequest = {
  readonly options: JudgeOptions;
  readonly lines: readonly string[];
  /** A state in base64, of whatever runtime; null: none. */
  readonly saved: string | null;
};

/** What was said, by topic, a line a message; and the state it leaves, in base64. */
export type JudgeAnswer = {
  readonly validated: string;
  readonly gap_alerts: string;
  readonly late_events: string;
  readonly rejected: string;
  readonly validation: string;
  readonly saved: string;
};

/** Judges a request. */
export function judgeLines({ options, lines, saved }: JudgeRequest): JudgeAnswer {
  const settings = { ...options, nowMs: null };
  const judge = saved === null ? createJudge(settings) : restoreJudge(fromBase64(saved), settings);
  for (const line of lines) judge.record(line);
  const { accepted, gaps, tooLate, rejected, findings } = judge.take();
  return {
    validated: linesOf(accepted),
    gap_alerts: linesOf(gaps),
    late_events: linesOf(tooLate),
    rejected: linesOf(rejected),
    validation: linesOf(findings),
    saved: toBase64(judge.save()),
  };
}

function linesOf(messages: readonly unknown[]): string {
  return messages.map((message) => `${JSON.stringify(message)}\n`).join("");
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
