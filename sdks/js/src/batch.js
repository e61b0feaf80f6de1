/** Results of a batch, whole or one by one. */
import { asInference } from './content.js';
import { errorFrom, PRSMError, truncated } from './errors.js';
import { Lines, parseObject } from './sse.js';

/** One result as the user sees it: the inference with its `content` at hand, or a typed error. */
function toResult({ error, inference, ...rest }) {
  if (!inference) return { ...rest, content: '', error: errorFrom(error) };
  const whole = asInference(inference);
  return { ...rest, content: whole.content, inference: whole };
}

/**
 * All results, in the order of their requests: an array that also has `usage`, `cost` and `failed` of the whole. Where
 * the connection breaks, the error has what came as `results`, null for the others.
 */
export async function collectResults(stream, count) {
  const results = Array(count).fill(null);
  try {
    for await (const { index, ...result } of stream) results[index] = result;
    if (results.includes(null)) throw truncated();
  } catch (error) {
    if (error instanceof PRSMError) error.results = results;
    throw error;
  }
  return Object.assign(results, stream.summary);
}

/**
 * Results as they finish, from NDJSON. `summary` holds the last line once it came.
 * @param {() => Promise<{pieces: AsyncGenerator<Uint8Array>, requestId: string|null}>} open Sends the request, at the
 *   first step.
 */
export function streamResults(open) {
  const results = (async function* () {
    const { pieces, requestId } = await open();
    try {
      for await (const value of values(pieces)) {
        if (value.object === 'batch.done') {
          results.summary = { failed: value.failed ?? null, usage: value.usage ?? null, cost: value.cost ?? null };
          return;
        }
        yield toResult(value);
      }
      throw truncated();
    } catch (error) {
      if (error instanceof PRSMError) error.requestId ??= requestId;
      throw error;
    }
  })();
  results.summary = null;
  return results;
}

async function* values(pieces) {
  const lines = new Lines();
  for await (const piece of pieces) {
    for (const line of lines.push(piece)) {
      if (line.trim() === '') continue;
      const value = parseObject(line);
      if (!('status' in value) && value.error) throw errorFrom(value.error);
      yield value;
    }
  }
}
