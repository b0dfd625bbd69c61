import type { Notice } from '../page.ts'

/** Stands above the values that it concerns. */
export function Notices({ notices }: { notices: readonly Notice[] }) {
  return (
    <div id="notices" class="notices">
      {notices.map(({ kind, title, detail, link }) => (
        <div class={kind === 'stale' ? 'banner stale' : 'banner'} role="status">
          <b>{title}</b>
          <span>{detail}</span>
          {link === undefined ? null : <a href={link.href}>{link.text}</a>}
        </div>
      ))}
    </div>
  )
}
