/** The worker of the audit page: takes an `AuditRequest`, tells how far it is, and the reply. */
import { ReadError } from "../formats/read_error.ts";
import { auditBlobs, type AuditRequest } from "./audit_blobs.ts";

/** What a worker has and a page has not: a blob's bytes at once. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

type Scope = {
  onmessage: ((event: { data: AuditRequest }) => void) | null;
  postMessage(message: unknown): void;
};

const scope = self as unknown as Scope;

scope.onmessage = async ({ data }) => {
  const reader = new FileReaderSync();
  try {
    const reply = await auditBlobs(data, {
      readBlob: (blob) => reader.readAsArrayBuffer(blob),
      onBytes: (bytes, rows) => scope.postMessage({ kind: "progress", bytes, rows }),
    });
    scope.postMessage({ kind: "done", ...reply });
  } catch (error) {
    const known = error instanceof ReadError ? error : null;
    const lines = known === null ? [] : [known.hint ?? "", ...known.more];
    const message = error instanceof Error ? error.message : String(error);
    scope.postMessage({ kind: "failed", message, hint: lines.filter((line) => line !== "") });
  }
};
