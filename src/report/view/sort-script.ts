/**
 * The one script of a report: it sorts a table when a button in its head is pressed. A text and not a function, because what a
 * bundler makes of a function is another text, and reports are the same bytes wherever they are made. The page runs it too.
 */
export const sortScript = `
document.addEventListener('click', (event) => {
  const button = event.target instanceof Element ? event.target.closest('button[data-sort]') : null
  const head = button?.closest('th')
  const body = head?.closest('table')?.tBodies[0]
  if (!head || !body) return
  const order = head.getAttribute('aria-sort')
  const down = order === null ? button.dataset.sort === 'number' : order === 'ascending'
  for (const other of head.parentElement.cells) other.removeAttribute('aria-sort')
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending')
  const keyOf = (row) => row.cells[head.cellIndex].dataset.key ?? ''
  const compare = button.dataset.sort === 'number'
    ? (a, b) => Number(keyOf(a)) - Number(keyOf(b))
    : (a, b) => keyOf(a).localeCompare(keyOf(b), undefined, { numeric: true })
  body.append(...[...body.rows].sort((a, b) => (down ? -compare(a, b) : compare(a, b))))
})
`

/** Its SHA-256, by which a report allows this script and no other. */
export const sortScriptDigest = 'pnx7iR0Q/YN4EuUrR9reHLMwv99eIZFOCdCScmJZ9OE='
