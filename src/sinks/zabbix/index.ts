import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** A Zabbix server or proxy. */
export const zabbix = defineSink({
  type: 'zabbix',
  about:
    'A Zabbix server or proxy, by its trapper port: the numbers of each event, and which apps there are.',
  settings,
  limits: { events: 1000, bytes: 2 ** 20 },
  ordered: true,
  open: async (settings, context) => (await import('./open.ts')).openZabbix(settings, context),
})
