/** The order in which the parts of a model are translated. */
import * as E from 'fp-ts/lib/Either.js'

/** What stops an order: a part that is read and is not there, or one that reads itself. */
export interface NoOrder {
  readonly kind: 'missing' | 'cycle'
  readonly name: string
}

/** Everything that `wanted` needs, each behind what it reads; `readsOf` answers undefined for what is not there. */
export const orderOf = (
  wanted: ReadonlyArray<string>,
  readsOf: (name: string) => ReadonlyArray<string> | undefined,
): E.Either<NoOrder, ReadonlyArray<string>> => {
  const state = new Map<string, 'open' | 'done'>()
  const order: string[] = []
  const stack = wanted.toReversed()
  for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
    const known = state.get(name)
    if (known !== undefined) {
      stack.pop()
      if (known === 'open') order.push(name)
      state.set(name, 'done')
      continue
    }
    state.set(name, 'open')
    const reads = readsOf(name)
    if (reads === undefined) return E.left({ kind: 'missing', name })
    for (const read of reads.toReversed()) {
      if (state.get(read) === 'open') return E.left({ kind: 'cycle', name: read })
      if (!state.has(read)) stack.push(read)
    }
  }
  return E.right(order)
}
