import { nullTranslator } from '@jupyterlab/translation';
import { parseState, type State } from '../src/protocol';

export const NOW = 1_790_000_000_000;
export const MINUTE = 60_000;
export const trans = nullTranslator.load('test');

/** A state as a kernel says it, with `minutes` left; `more` changes its status, `beside` the message. */
export function said(minutes: number, more: object = {}, beside: object = {}): object {
  return {
    protocol: 1,
    version: '0.1.0',
    now: NOW,
    panel: 'abc_123',
    profiles: ['research', 'prod'],
    sign_in: null,
    status: {
      credentials: 'valid',
      sign_in: 'ok',
      is_federated: true,
      profile: 'research',
      subject: 'ada@example.org',
      account_id: '123456789012',
      role_arn: 'arn:aws:iam::123456789012:role/Researcher',
      identity_id: 'eu-west-1:0123',
      access_key_suffix: 'WXYZ',
      credentials_expire_at: NOW + minutes * MINUTE,
      sign_in_expires_at: NOW + 600 * MINUTE,
      ...more
    },
    ...beside
  };
}

export function state(minutes: number, more: object = {}, beside: object = {}): State {
  const parsed = parseState(said(minutes, more, beside));
  if (!parsed) {
    throw new Error('not a state');
  }
  return parsed;
}
