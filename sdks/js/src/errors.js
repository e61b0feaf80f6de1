/** What can go wrong, as one tree: the same classes and codes as the server and the Python package. */

/** Base of every error that this SDK makes. An abort is not one: it throws the signal's own reason. */
export class PRSMError extends Error {
  static code = 'error';

  /**
   * @param {string} message
   * @param {{code?: string, status?: number|null, details?: object, requestId?: string|null,
   *   retryAfter?: number|null, partial?: string, cause?: unknown}} [facts]
   */
  constructor(message, facts = {}) {
    const { code = new.target.code, status = null, details = {}, requestId = null, retryAfter = null } = facts;
    const { partial, cause } = facts;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    /** The HTTP status; null where there was none (a lost connection, a fault inside a stream). */
    this.status = status;
    this.details = details;
    this.requestId = requestId;
    /** Seconds that the server asks to wait, or null. */
    this.retryAfter = retryAfter;
    /** The text of a stream up to its fault. */
    if (partial !== undefined) this.partial = partial;
  }
}

export class InvalidRequestError extends PRSMError {
  static code = 'invalid_request';
}
export class SchemaError extends InvalidRequestError {
  static code = 'schema';
}
export class AuthenticationError extends PRSMError {
  static code = 'authentication';
}
export class InsufficientCreditsError extends PRSMError {
  static code = 'insufficient_credits';
}
export class BudgetExceededError extends InsufficientCreditsError {
  static code = 'budget_exceeded';
}
export class NotFoundError extends PRSMError {
  static code = 'not_found';
}
export class ConflictError extends PRSMError {
  static code = 'conflict';
}
export class RateLimitError extends PRSMError {
  static code = 'rate_limit';
}
export class InternalError extends PRSMError {
  static code = 'internal';
}
export class CancelledError extends PRSMError {
  static code = 'cancelled';
}
/** The server could not be reached, or the connection broke. `details.kind`: 'connection' or 'truncated'. */
export class ConnectionError extends PRSMError {
  static code = 'connection';
}
export class ProviderError extends PRSMError {
  static code = 'provider_unavailable';

  constructor(message, facts) {
    super(message, facts);
    /** The provider that failed, or null. */
    this.provider = this.details.provider ?? null;
  }
}
/** A deadline passed: the server's (status 503) or this client's own (status null). */
export class TimeoutError extends ProviderError {
  static code = 'timeout';
}

const CLASSES = {
  InvalidRequestError, SchemaError, AuthenticationError, InsufficientCreditsError, BudgetExceededError, NotFoundError,
  ConflictError, RateLimitError, InternalError, CancelledError, ConnectionError, ProviderError, TimeoutError,
};
// Names are written out because minifiers rename classes.
for (const [name, Class] of Object.entries({ PRSMError, ...CLASSES })) {
  Object.defineProperty(Class.prototype, 'name', { value: name, configurable: true, writable: true });
}
const BY_CODE = new Map(Object.values(CLASSES).map((Class) => [Class.code, Class]));
const BY_STATUS = new Map([
  [401, AuthenticationError], [402, InsufficientCreditsError], [403, AuthenticationError], [404, NotFoundError],
  [409, ConflictError], [429, RateLimitError], [502, ProviderError], [503, ProviderError], [504, ProviderError],
]);

/**
 * The typed error of an error body; without one, of the status.
 * @param {unknown} body What stands under "error": {code, message, details}.
 * @param {{status?: number, requestId?: string|null, retryAfter?: number|null, partial?: string}} [facts]
 * @returns {PRSMError}
 */
export function errorFrom(body, facts = {}) {
  const { code, message, details } = body !== null && typeof body === 'object' ? body : {};
  const known = details !== null && typeof details === 'object' ? details : {};
  const Class = BY_CODE.get(code) ?? BY_STATUS.get(facts.status) ?? byFamily(facts.status);
  const mute = `The server answered HTTP ${facts.status ?? 200} without saying what is wrong.`;
  const said = typeof message === 'string' && message ? message : mute;
  return new Class(said, { ...facts, details: known, ...(typeof code === 'string' && { code }) });
}

/** The error of a stream that ended before its end mark. */
export function truncated(cause) {
  return new ProviderError('The stream broke off before its end; what came may be incomplete.',
    { details: { kind: 'truncated' }, cause });
}

function byFamily(status) {
  if (status >= 500) return InternalError;
  return status >= 400 ? InvalidRequestError : PRSMError;
}
