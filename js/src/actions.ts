import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Request } from './protocol';
import type { IFederationKernel } from './tokens';

/** Ask a kernel, and say so where it refuses or is gone. */
export async function act(kernel: IFederationKernel, request: Request): Promise<void> {
  try {
    const reply = await kernel.request(request);
    if (!reply.ok && reply.error) {
      Notification.error(reply.error, { autoClose: false });
    }
  } catch (error) {
    Notification.error((error as Error).message);
  }
}

/** Sign in with a profile that the kernel named, or with its default. */
export function signIn(kernel: IFederationKernel, profile: string | null): Promise<void> {
  const known = profile !== null && kernel.state.profiles.includes(profile);
  return act(kernel, { action: 'sign_in', profile: known ? profile : null });
}

/** Ask the person what the open sign-in asks; what is typed is shown nowhere and goes to the kernel alone. */
export async function answer(kernel: IFederationKernel, trans: TranslationBundle): Promise<void> {
  const question = kernel.state.signIn?.question;
  if (question) {
    const dialog = await InputDialog.getPassword({ title: trans.__('Sign in to AWS'), label: question });
    if (dialog.button.accept && dialog.value) {
      await act(kernel, { action: 'answer', text: dialog.value });
    }
  }
}
