/** One hour cannot be archived as things are; others can. */
export class HourFailure extends Error {
  override readonly name = 'HourFailure'
}
