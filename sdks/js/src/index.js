/** The public names of `@prsm/sdk`; everything else may change. */
export { PRSM } from './client.js';
export {
  AuthenticationError, BudgetExceededError, CancelledError, ConflictError, ConnectionError, InsufficientCreditsError,
  InternalError, InvalidRequestError, NotFoundError, PRSMError, ProviderError, RateLimitError, SchemaError,
  TimeoutError,
} from './errors.js';
