/** Types of `@prsm/sdk`. Numbers that the server does not know are null, never 0. */

export interface PRSMOptions {
  /** Default: the environment variable PRSM_API_KEY. */
  apiKey?: string;
  /** Default: the environment variable PRSM_API_URL. A tail of `/v1` or `/v1/inference` is cut off. */
  baseURL?: string;
  /** What a proxy before the server asks for, such as Jupyter's token. Default: PRSM_PROXY_TOKEN. */
  proxyToken?: string;
  /**
   * Milliseconds of a whole call with its retries, 60000 by default; Infinity for none. For streams and batches: to
   * open, and of each silence (of a batch 300000 by default).
   */
  timeout?: number;
  /** Attempts after the first, 2 by default. */
  maxRetries?: number;
  fetch?: typeof fetch;
}

export interface CallOptions {
  /** Its abort throws its reason. */
  signal?: AbortSignal;
  /** Milliseconds; the client's own by default. */
  timeout?: number;
}

export interface CreateOptions extends CallOptions {
  /** 1 to 128 printable ASCII characters; a fresh one by default. The same key and body give the first answer again. */
  idempotencyKey?: string;
}

export interface BatchOptions extends CallOptions {
  /** All at once (true), one by one (false), or so many at once. */
  parallel?: boolean | number;
  fallbackStrategy?: 'best_available' | 'cheapest' | 'fastest' | 'none';
}

export interface ReportOptions extends CallOptions {
  model?: string;
  provider?: string;
  timeframe?: Timeframe;
  groupBy?: GroupBy | readonly GroupBy[];
}

export interface MetricsOptions extends ReportOptions {
  /** Only these figures come. */
  metrics: Metric | readonly Metric[];
}

export type Metric =
  | 'requests' | 'tokens' | 'costs' | 'latency' | 'success_rate' | 'avg_latency' | 'p95_latency' | (string & {});
/** A name, or two ISO dates with a slash between them. */
export type Timeframe = 'last_24_hours' | 'last_7_days' | 'last_30_days' | 'all' | (string & {});
export type GroupBy = 'model' | 'provider' | 'key' | 'day';

export interface Message {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool' | (string & {});
  /** Text or parts; an assistant that called tools may have none. */
  content?: string | readonly object[] | null;
  [name: string]: unknown;
}

/** Names and units are the server's: `timeout` is in seconds, `strategies[].timeout` in milliseconds. */
export interface InferenceRequest {
  model: string;
  messages: readonly Message[];
  max_tokens?: number;
  temperature?: number;
  top_p?: number;
  stop?: string | readonly string[];
  seed?: number;
  frequency_penalty?: number;
  presence_penalty?: number;
  logit_bias?: Record<string, number>;
  tools?: readonly object[];
  tool_choice?: string | object;
  parallel_tool_calls?: boolean;
  /** A JSON schema that the answer must fit. */
  schema?: object;
  user?: string;
  provider?: string;
  fallback_providers?: readonly string[];
  fallback_config?: {
    strategies?: readonly { provider?: string; model?: string; timeout?: number }[];
    retry_attempts?: number;
    backoff_multiplier?: number;
    /** When a provider breaks off inside a stream: end with its error, or begin anew at the next one. */
    mid_stream?: 'stop' | 'restart';
  };
  cost_optimization?:
    | boolean
    | { enabled?: boolean; max_cost?: number; prefer_cheaper?: boolean; quality_threshold?: number };
  latency_optimization?: boolean;
  quality_threshold?: number;
  /** What kind of question it is: qualities measured at this task come before published ones. */
  task?: string;
  cache_config?:
    | boolean
    | {
        enabled?: boolean;
        /** Seconds. */
        ttl?: number;
        key_strategy?: 'exact' | 'normalized' | 'semantic_similarity';
        similarity_threshold?: number;
        embedder?: string;
        namespace?: string;
        cross_model?: boolean;
        shadow?: boolean;
        verify?: string;
        force?: boolean;
      };
  on_unsupported?: 'refuse' | 'drop';
  timeout?: number;
  extra?: Record<string, unknown>;
}

export interface CreateRequest extends InferenceRequest {
  /** Answer at once with an id for `inference.get`. */
  background?: boolean;
}

export interface StreamRequest extends InferenceRequest {
  stream?: true;
}

export interface BatchRequest extends InferenceRequest {
  id?: string;
}

export interface Usage {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  total_tokens: number | null;
  [name: string]: unknown;
}

export interface Cost {
  amount: number | null;
  currency: string;
  provider_cost?: number | null;
  savings?: number | null;
}

export interface ToolCall {
  id: string | null;
  type: string;
  function: { name: string; arguments: string };
}

export interface Inference {
  id: string;
  object: 'inference';
  created: number;
  model: string;
  provider: string | null;
  choices: {
    index: number;
    message: { role: string; content: string | null; tool_calls?: ToolCall[]; [name: string]: unknown };
    finish_reason: string | null;
  }[];
  usage: Usage;
  cost: Cost;
  /** Text of the first choice; '' without one. Not part of the JSON. */
  readonly content: string;
}

/** What `create` gives with `background: true`. */
export interface BackgroundInference {
  id: string;
  status: 'running';
  model: string;
  created: number;
  readonly content: '';
}

export interface InferenceRecord {
  id: string;
  status: 'running' | 'completed' | 'failed' | 'unknown';
  model: string;
  provider: string | null;
  created: number;
  completed: number | null;
  latency_ms: number | null;
  result?: { content: string | null; tokens: number | null; cost: number | null };
  error?: ErrorBody;
  /** Text of the result; '' without one. Not part of the JSON. */
  readonly content: string;
}

export interface ErrorBody {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

export interface Delta {
  content?: string | null;
  reasoning?: string;
  tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
  /** Another target begins anew: the text so far is void. */
  restart?: string;
  [name: string]: unknown;
}

export interface Chunk {
  id: string | null;
  /** '' where this chunk brings no text. */
  content: string;
  delta: Delta;
  finish_reason: string | null;
}

export interface StreamResult {
  id: string | null;
  model: string | null;
  provider: string | null;
  content: string;
  /** Only where the model called tools. */
  tool_calls?: ToolCall[];
  finish_reason: string | null;
  usage: Usage | null;
  cost: Cost | null;
  latency_ms: number | null;
  /** Milliseconds to the first piece. */
  ttft_ms: number | null;
  cached: boolean | null;
}

export interface Stream extends AsyncIterable<Chunk> {
  /** The text so far. */
  readonly content: string;
  /** Read to the end. Rejects with the stream's fault; an error has the text so far as `partial`. */
  result(): Promise<StreamResult>;
  /** Close the connection, which stops the provider. Breaking out of the loop does the same. */
  close(): void;
  [Symbol.asyncIterator](): AsyncGenerator<Chunk, void, undefined>;
}

/** `id` is the request's own, null without one. */
export type BatchResult =
  | { id: string | null; status: 'completed'; content: string; inference: Inference; error?: undefined; index?: number }
  | { id: string | null; status: 'failed'; content: ''; inference?: undefined; error: PRSMError; index?: number };

export interface BatchSummary {
  usage: Usage | null;
  cost: Cost | null;
  failed: number | null;
}

export type BatchResults = BatchResult[] & BatchSummary;

/** `index` of each result is its request's position; `summary` is null until the last line came. */
export interface BatchStream extends AsyncGenerator<BatchResult, void, undefined> {
  summary: BatchSummary | null;
}

export interface Figures {
  total_requests: number;
  total_tokens: number | null;
  total_cost: number | null;
  unpriced_requests: number;
  avg_latency_ms: number | null;
  p50_latency_ms: number | null;
  p95_latency_ms: number | null;
  p99_latency_ms: number | null;
  success_rate: number | null;
  cached_requests: number;
}

export interface Report extends Figures {
  avg_latency: number | null;
  p95_latency: number | null;
  /** One for each value of `groupBy`. */
  groups: (Figures & { model?: string; provider?: string; key?: string; day?: string })[];
}

/** A report with `metrics`: of the figures, only what was asked for. */
export type PartialReport = Partial<Report> & Pick<Report, 'groups'>;

export interface ProviderPreferences {
  primary?: string | null;
  fallback?: readonly string[];
  cost_optimization?: boolean;
  latency_optimization?: boolean;
  quality_threshold?: number | null;
}

export interface Model {
  id: string;
  object: 'model';
  created: number | null;
  owned_by: string;
}

export type Tier = 'Free' | 'Basic' | 'Pro' | 'Enterprise';
export type Scope = 'infer' | 'read' | 'admin';

/** Null: no limit. */
export interface Limits {
  requests_per_minute?: number | null;
  tokens_per_minute?: number | null;
  concurrent?: number | null;
}

export interface NewKey {
  /** Whose it is. */
  name: string;
  tier?: Tier;
  /** USD that it may spend. */
  credits?: number;
  models?: readonly string[];
  /** A span such as '12h', '7d', '2w', or seconds from now. */
  expires?: string | number;
  scopes?: readonly Scope[];
  /** Of tier Enterprise only. */
  limits?: Limits;
}

/** What may be shown of a key. Times are Unix seconds. */
export interface KeyInfo {
  id: string;
  name: string;
  hint: string;
  tier: Tier;
  scopes: Scope[];
  models: string[] | null;
  credits: number | null;
  created: number;
  expires: number | null;
  revoked: boolean;
  last_used: number | null;
  limits: Required<Limits>;
}

/** The only answer that ever holds a key. */
export interface CreatedKey extends KeyInfo {
  key: string;
}

export class PRSM {
  constructor(options?: PRSMOptions);
  readonly baseURL: string;
  readonly inference: {
    create(body: CreateRequest & { background: true }, options?: CreateOptions): Promise<BackgroundInference>;
    create(body: CreateRequest & { background?: false }, options?: CreateOptions): Promise<Inference>;
    create(body: CreateRequest, options?: CreateOptions): Promise<Inference | BackgroundInference>;
    stream(body: StreamRequest, options?: CallOptions): Promise<Stream>;
    batch(requests: readonly BatchRequest[], options?: BatchOptions): Promise<BatchResults>;
    batchStream(requests: readonly BatchRequest[], options?: BatchOptions): BatchStream;
    get(id: string, options?: CallOptions): Promise<InferenceRecord>;
    analytics(options: MetricsOptions): Promise<PartialReport>;
    analytics(options?: ReportOptions): Promise<Report>;
    performance(options: MetricsOptions): Promise<PartialReport>;
    performance(options?: ReportOptions): Promise<Report>;
    configureProviders(preferences: ProviderPreferences, options?: CallOptions): Promise<ProviderPreferences>;
  };
  readonly models: {
    list(options?: CallOptions): Promise<Model[]>;
    get(id: string, options?: CallOptions): Promise<Model>;
  };
  /** All but `me` needs a key of scope `admin`. */
  readonly keys: {
    me(options?: CallOptions): Promise<KeyInfo>;
    list(options?: CallOptions): Promise<KeyInfo[]>;
    create(body: NewKey, options?: CallOptions): Promise<CreatedKey>;
    revoke(id: string, options?: CallOptions): Promise<KeyInfo>;
    rotate(id: string, options?: CallOptions): Promise<CreatedKey>;
  };
}

export interface ErrorFacts {
  code?: string;
  status?: number | null;
  details?: Record<string, unknown>;
  requestId?: string | null;
  retryAfter?: number | null;
  partial?: string;
  cause?: unknown;
}

export class PRSMError extends Error {
  constructor(message: string, facts?: ErrorFacts);
  readonly code: string;
  /** The HTTP status; null where there was none. */
  readonly status: number | null;
  readonly details: Record<string, any>;
  readonly requestId: string | null;
  /** Seconds that the server asks to wait, or null. */
  readonly retryAfter: number | null;
  /** The text of a stream up to its fault. */
  readonly partial?: string;
  /** What came of a batch up to its fault, null for the others. */
  readonly results?: (BatchResult | null)[];
}
export class InvalidRequestError extends PRSMError {}
export class SchemaError extends InvalidRequestError {}
export class AuthenticationError extends PRSMError {}
export class InsufficientCreditsError extends PRSMError {}
export class BudgetExceededError extends InsufficientCreditsError {}
export class NotFoundError extends PRSMError {}
export class ConflictError extends PRSMError {}
export class RateLimitError extends PRSMError {}
export class InternalError extends PRSMError {}
export class CancelledError extends PRSMError {}
/** The server could not be reached, or the connection broke. */
export class ConnectionError extends PRSMError {}
export class ProviderError extends PRSMError {
  readonly provider: string | null;
}
/** The server's deadline passed (status 503), or this client's (status null). */
export class TimeoutError extends ProviderError {}
