import type { CarryOverOptions } from './carry-over.ts'
import type { GuardOptions } from './guard.ts'
import type { SinkPlan } from './plans.ts'
import type { RejectsOptions } from './rejects.ts'
import type { SpaceOptions } from './space.ts'

export type SpoolOptions = SpaceOptions &
  RejectsOptions &
  Pick<GuardOptions, 'onDamage'> &
  Pick<CarryOverOptions, 'onCarriedOver' | 'largeBytes'> & {
    /** The configured sinks. An event stays until each sink has dealt with it, configured or not. */
    sinks: readonly SinkPlan[]
    onCommit?: (events: number) => void
    /** Told when the disk begins to fail, and with undefined when it works again. */
    onTrouble?: (trouble: string | undefined) => void
  }
