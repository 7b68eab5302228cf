import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
import type { IFederationSettings, ISettings } from './tokens';

/** The defaults until the settings have come. */
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
      this.composite = { ...this.composite, ...settings.composite }; // the registry has checked it against the schema
      this.changed.emit();
    };
    settings.changed.connect(take);
    take();
  }
}
