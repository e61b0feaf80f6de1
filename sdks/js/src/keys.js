/** `client.keys`: who may ask this server. All but `me` needs a key of scope `admin`. */
import { checked, picked, segment } from './calls.js';

export class Keys {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  /** What this client's own key may do, and what is left of it. */
  async me(options) {
    return this.#transport.json({ method: 'GET', path: '/v1/keys/me', ...picked(options) });
  }

  /** All keys, newest first; never the keys themselves. */
  async list(options) {
    return (await this.#transport.json({ method: 'GET', path: '/v1/keys', ...picked(options) })).data;
  }

  /** A key for somebody; its `key` is shown this once. */
  async create(body, options) {
    return this.#make('/v1/keys', checked(body, 'body'), options);
  }

  /** End a key for good. */
  async revoke(id, options) {
    return this.#transport.json({ method: 'DELETE', path: `/v1/keys/${segment(id)}`, ...picked(options) });
  }

  /** End a key and give its successor, whose `key` is shown this once. */
  async rotate(id, options) {
    return this.#make(`/v1/keys/${segment(id)}/rotate`, undefined, options);
  }

  // A key whose reply was lost is known to nobody; another attempt would leave it behind.
  #make(path, body, options) {
    return this.#transport.json({ method: 'POST', path, body, repeatable: false, ...picked(options) });
  }
}
