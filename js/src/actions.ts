import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Request } from './protocol';
import type { IFederationKernel } from './tokens';

const PATIENCE = 5000; // milliseconds; a clear takes half a second at most, everything else a few milliseconds

/** Ask a kernel, and say so where it refuses, is gone, or does not answer; the last as long as it does not. */
export async function act(kernel: IFederationKernel, request: Request): Promise<void> {
  const stays = { autoClose: false } as const;
  let said = '';
  const late = window.setTimeout(() => {
    said = Notification.warning(`The kernel does not answer (${kernel.title})`, stays);
  }, PATIENCE);
  try {
    const { error } = await kernel.request(request);
    error && Notification.error(error, stays);
  } catch (error) {
    Notification.error((error as Error).message);
  }
  window.clearTimeout(late);
  said && Notification.dismiss(said);
}

/** Sign in with a profile that the kernel named, or with its default; without a choice, as somebody is signed in. */
export function signIn(kernel: IFederationKernel, profile = kernel.state.status.profile): Promise<void> {
  const { profiles } = kernel.state;
  return act(kernel, { action: 'sign_in', profile: profiles.find(each => each === profile) ?? null });
}

/** Ask the person what the open sign-in asks; what is typed is shown nowhere and goes to the kernel alone. */
export async function answer(kernel: IFederationKernel, trans: TranslationBundle): Promise<void> {
  const question = kernel.state.signIn?.question;
  if (question) {
    const { value } = await InputDialog.getPassword({ title: trans.__('Sign in to AWS'), label: question });
    if (value) {
      await act(kernel, { action: 'answer', text: value });
    }
  }
}
