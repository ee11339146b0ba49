/** Translates what gRPC reports into errors of this package. */

import { fromBinary } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import * as errors from "./errors.js";
import {
  type StatehouseError as Detail,
  ErrorCode,
  StatehouseErrorSchema,
} from "./proto/statehouse/v1/statehouse_pb.js";
import { RetryInfoSchema, StatusSchema } from "./proto/status_pb.js";

/** The trailer with a google.rpc.Status, of which the details are the contract's error. */
export const DETAILS = "grpc-status-details-bin";

/** Statuses without a StatehouseError: a proxy, or gRPC itself, answered for the daemon. */
const ANSWERED = new Map<
  number,
  new (
    reason: string,
    facts?: errors.Facts,
  ) => errors.StatehouseError
>([
  [status.RESOURCE_EXHAUSTED, errors.ResourceExhausted], // the request is too large
  [status.UNAUTHENTICATED, errors.Unauthenticated],
  [status.PERMISSION_DENIED, errors.PermissionDenied],
  [status.INVALID_ARGUMENT, errors.InvalidArgument],
  [status.OUT_OF_RANGE, errors.InvalidArgument],
  [status.UNIMPLEMENTED, errors.Unimplemented],
]);

/** Makes the error for a failed call. */
export function fromStatus(failed: ServiceError): errors.StatehouseError {
  const { detail, retryMs } = packed(failed);
  const details: { [name: string]: string } = {};
  if (retryMs !== undefined) details.retry_after_ms = String(retryMs);
  if (detail) return fromDetail(detail, failed.details, details);
  const Known = ANSWERED.get(failed.code);
  const reason = failed.details || status[failed.code] || "an error without a name";
  if (Known) return new Known(reason, { answered: true, details });
  // Nothing else comes from the daemon: INTERNAL and UNKNOWN without a detail are how gRPC reports a
  // stream that broke. Such a call counts as sent, for it was given to a connection that stood.
  const late = failed.code === status.DEADLINE_EXCEEDED;
  const Kind = late ? errors.DeadlineExceeded : errors.ConnectionError;
  return new Kind(`no answer: ${reason}`, { sent: true, details });
}

/** Names a code, also one of a later daemon. */
export function codeName(code: ErrorCode): string {
  return ErrorCode[code] ?? `CODE_${code}`;
}

function fromDetail(
  detail: Detail,
  fallback: string,
  more: { [name: string]: string },
): errors.StatehouseError {
  // One that this client does not know stands beside one that every client does.
  const exact = detail.exactCode ? ErrorCode[detail.exactCode] : undefined;
  const code = exact ?? codeName(detail.code);
  const known = errors.BY_CODE.get(code) ?? errors.InternalError;
  const Kind = detail.maybeApplied ? errors.OutcomeUnknown : known;
  return new Kind(detail.message || fallback, {
    code,
    details: { ...more, ...detail.details },
    answered: true,
  });
}

/** Reads what the trailers have of the contract's error, and when to come back. */
function packed(failed: ServiceError): { detail?: Detail; retryMs?: number } {
  const out: { detail?: Detail; retryMs?: number } = {};
  for (const value of failed.metadata?.get(DETAILS) ?? []) {
    if (!(value instanceof Uint8Array)) continue;
    try {
      for (const any of fromBinary(StatusSchema, value).details) {
        if (any.typeUrl.endsWith("/statehouse.v1.StatehouseError")) {
          out.detail = fromBinary(StatehouseErrorSchema, any.value);
        } else if (any.typeUrl.endsWith("/google.rpc.RetryInfo")) {
          const delay = fromBinary(RetryInfoSchema, any.value).retryDelay;
          if (delay) out.retryMs = Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1e6);
        }
      }
    } catch {
      // Not what the contract says: the status itself has to do.
    }
  }
  return out;
}
