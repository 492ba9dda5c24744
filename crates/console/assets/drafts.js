// What is being written: kept until it was sent, over a reload and over a server that is away.
import { keep, kept } from './session.js';

const name = (kind, id) => `draft.${kind}.${id}`;

// `kind` is `reply` or `note`, `id` a conversation's or a client's.
export const draft = (kind, id) => kept(name(kind, id)) ?? '';
export const write = (kind, id, text) => keep(name(kind, id), text === '' ? null : text);
