/** Give an answer its `content`: a getter beside its JSON, which stays as the server sent it. */

/** '' for an answer of tool calls only, or one still running. */
export const asInference = (value) => withContent(value, () => value.choices?.[0]?.message?.content ?? '');

/** '' for a record without a result. */
export const asRecord = (value) => withContent(value, () => value.result?.content ?? '');

function withContent(value, get) {
  return Object.defineProperty(value, 'content', { get, enumerable: false, configurable: true });
}
