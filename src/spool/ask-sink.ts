import type { Logger } from 'pino'
import { assertDelivery, type Delivery, type Outgoing, type Sink } from '../core/delivery.ts'
import { ContractError } from '../core/must.ts'

export const internalError = 'internal error; see the log'

/** The answer of a sink to a batch, or a failure when it breaks the contract. Never throws. */
export async function askSink(
  { sink, deliver, log }: { sink: string; deliver: Sink['deliver']; log: Logger },
  batch: readonly Outgoing[],
  signal: AbortSignal,
): Promise<Delivery> {
  try {
    const answer: unknown = await deliver(batch, signal)
    assertDelivery(answer, batch.length)
    return answer
  } catch (error) {
    log.error({ error, sink }, 'delivery failed unexpectedly')
    const isOfSink = error instanceof ContractError
    const wrong = isOfSink && `the sink gave an invalid answer: ${error.message}`
    return { kind: 'failed', reason: wrong || internalError }
  }
}
