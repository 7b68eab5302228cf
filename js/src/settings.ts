import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
import type { IFederationSettings, ISettings } from './tokens';

/** The defaults until the settings have come, and where there is no registry for them. */
export class Settings implements ISettings {
  readonly changed: Signal<ISettings, void> = new Signal(this);

  composite: IFederationSettings = {
    warnMinutes: 5,
    notifyMinutes: 10,
    notifications: true,
    statusItem: true
  };

  async follow(registry: ISettingRegistry, id: string): Promise<void> {
    const settings = await registry.load(id);
    const take = () => {
      const { composite } = settings;
      const number = (name: keyof IFederationSettings, otherwise: number) =>
        typeof composite[name] === 'number' ? (composite[name] as number) : otherwise;
      this.composite = {
        warnMinutes: number('warnMinutes', 5),
        notifyMinutes: number('notifyMinutes', 10),
        notifications: composite.notifications !== false,
        statusItem: composite.statusItem !== false
      };
      this.changed.emit();
    };
    settings.changed.connect(take);
    take();
  }
}
