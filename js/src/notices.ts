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
  const { sign_in, credentials, credentials_expire_at, next_try_at, interactive, way_back } = state.status;
  const remaining = left(state, now);
  if (!settings.notifications || credentials === 'none' || remaining === null || isOpen(state)) {
    return null;
  }
  const key = (kind: string) => [kernel.id, credentials_expire_at, kind].join(' ');
  const running = kernel.running ? trans.__(' and a cell is running') : '';
  if (expired(state, now)) {
    return {
      key: key('expired'),
      type: 'error',
      message: trans.__('The AWS session has expired%1: sign in now', running),
      actions: sign_in === 'ok' ? ['refresh', 'sign-in'] : ['sign-in', 'clear']
    };
  }
  const time = duration(remaining, trans);
  if (sign_in === 'needs_you') {
    return {
      key: key('needs_you'),
      type: 'warning',
      message: trans.__(
        'The sign-in cannot be renewed; the AWS session ends in %1%2: sign in now',
        time,
        running
      ),
      actions: ['sign-in', 'clear']
    };
  }
  if (remaining > settings.notifyMinutes * 60_000) {
    return null;
  }
  if (sign_in === 'not_renewable') {
    return {
      key: key('not_renewable'),
      type: 'warning',
      message: interactive
        ? trans.__('Nothing renews the AWS session, it ends in %1%2: sign in now', time, running)
        : trans.__(
            'Nothing renews the AWS session, it ends in %1%2: bring a fresh token and run %3',
            time,
            running,
            way_back
          ),
      actions: [interactive ? 'sign-in' : 'refresh', 'clear']
    };
  }
  return next_try_at === null
    ? null
    : {
        key: key('failing'),
        type: 'warning',
        message: trans.__('Renewing the AWS session has failed; it ends in %1', time),
        actions: ['refresh', 'clear']
      };
}
