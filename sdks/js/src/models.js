/** `client.models`: what can be asked. */
import { picked, segment } from './calls.js';

export class Models {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  /** The models that this key may use. */
  async list(options) {
    return (await this.#transport.json({ method: 'GET', path: '/v1/models', ...picked(options) })).data;
  }

  /** One model; its id may hold slashes. */
  async get(id, options) {
    const path = `/v1/models/${String(id ?? '').split('/').map(segment).join('/')}`;
    return this.#transport.json({ method: 'GET', path, ...picked(options) });
  }
}
