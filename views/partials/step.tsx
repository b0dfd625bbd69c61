type Props = { name: string; value: string; note: string; bad?: boolean }

/** One station on the path of events: where, how much, and what that is. Goes into `ol.path`. */
export function Step({ name, value, note, bad = false }: Props) {
  return (
    <li class={bad ? 'bad' : undefined}>
      <small>{name}</small>
      <b>{value}</b>
      <small>{note}</small>
    </li>
  )
}
