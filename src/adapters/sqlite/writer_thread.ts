/** The thread that writes a store: SQL and the rest of the pipeline use a core each. */
import type { Estimates } from "../../tables/estimate_gaps.ts";
import type { CommitBatch } from "./batch.ts";
import { type InputRow, Session, type SessionOptions } from "./session.ts";
import { answerRequests } from "./thread.ts";

/** What the writer is asked. */
export type WriterRequest =
  | { readonly kind: "open"; readonly options: SessionOptions }
  | { readonly kind: "commit"; readonly batch: CommitBatch }
  | { readonly kind: "beginInput"; readonly input: InputRow }
  | { readonly kind: "finishInput"; readonly inputId: number }
  | { readonly kind: "saveSettings"; readonly settings: Readonly<Record<string, string>> }
  | { readonly kind: "saveEstimates"; readonly estimates: Estimates }
  | { readonly kind: "cells"; readonly sql: string; readonly params: readonly unknown[] }
  | { readonly kind: "compact"; readonly pagesMax: number }
  | { readonly kind: "isUsed" }
  | { readonly kind: "close" };

let session: Session | null = null;

function handle(request: WriterRequest): unknown {
  switch (request.kind) {
    case "open":
      session = new Session(request.options);
      return null;
    case "commit":
      return opened().commit(request.batch);
    case "beginInput":
      return opened().beginInput(request.input);
    case "finishInput":
      return opened().finishInput(request.inputId);
    case "saveSettings":
      return opened().saveSettings(request.settings);
    case "saveEstimates":
      return opened().saveEstimates(request.estimates);
    case "cells":
      return opened().cells(request.sql, request.params);
    case "compact":
      return opened().compact(request.pagesMax);
    case "isUsed":
      return opened().isUsed();
    case "close":
      session?.close();
      session = null;
      return null;
    default:
      return request satisfies never;
  }
}

function opened(): Session {
  if (session === null) throw new Error("the store is not open");
  return session;
}

answerRequests(handle);
