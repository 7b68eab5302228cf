import type { TranslationBundle } from '@jupyterlab/translation';
import { duration, expired, left } from './countdown';
import { isOpen, type State } from './protocol';
import type { IFederationSettings } from './tokens';

/** A notification that is due; `key` is the same for all that must be shown once. */
export interface Notice {
  readonly key: string;
  readonly type: 'warning' | 'error';
  readonly message: string;
  readonly actions: readonly ('sign-in' | 'refresh' | 'clear')[];
}

/** What should be said of a kernel's session now, or null. */
export function due(
  kernel: { readonly id: string; readonly state: State; readonly now: number; readonly running: boolean },
  settings: IFederationSettings,
  trans: TranslationBundle
): Notice | null {
  const { state, now } = kernel;
  const { sign_in, credentials_expire_at, next_try_at, interactive, way_back } = state.status;
  const remaining = left(state, now);
  if (!settings.notifications || remaining === null || isOpen(state)) {
    return null;
  }
  const notice = (kind: string, message: string, ...actions: Notice['actions']): Notice => ({
    key: [kernel.id, credentials_expire_at, kind].join(' '),
    type: kind === 'expired' ? 'error' : 'warning',
    message,
    actions
  });
  const running = kernel.running ? trans.__(' and a cell is running') : '';
  const time = duration(remaining, trans);
  if (expired(state, now)) {
    const message = trans.__('The AWS session has expired%1: sign in now', running);
    return sign_in === 'ok'
      ? notice('expired', message, 'refresh', 'sign-in')
      : notice('expired', message, 'sign-in', 'clear');
  }
  if (sign_in === 'needs_you') {
    return notice(
      sign_in,
      trans.__('The sign-in cannot be renewed; the AWS session ends in %1%2: sign in now', time, running),
      'sign-in',
      'clear'
    );
  }
  if (remaining > settings.notifyMinutes * 60_000) {
    return null;
  }
  if (sign_in === 'not_renewable') {
    return interactive
      ? notice(
          sign_in,
          trans.__('Nothing renews the AWS session, it ends in %1%2: sign in now', time, running),
          'sign-in',
          'clear'
        )
      : notice(
          sign_in,
          trans.__(
            'Nothing renews the AWS session, it ends in %1%2: bring a fresh token and run %3',
            time,
            running,
            way_back
          ),
          'refresh',
          'clear'
        );
  }
  return next_try_at === null
    ? null
    : notice(
        'failing',
        trans.__('Renewing the AWS session has failed; it ends in %1', time),
        'refresh',
        'clear'
      );
}
