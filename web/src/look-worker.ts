/** Reads a model and says what is in it, and what a selection of channels would leave, as often as the slider moves. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../src/ir/failure.ts'
import { inspect } from '../../src/passes/inspect.ts'
import { type Ranking, rankChannels } from '../../src/passes/prune.ts'
import { subgraphs } from '../../src/package/subgraphs.ts'
import type { LookReply, LookRequest, Selection } from './messages.ts'
import { type Read, readInput } from './read-input.ts'

const say = (reply: LookReply): void => postMessage(reply)

const fail = (error: Failure): void => say({ kind: 'failed', error })

let read: Read | undefined
let ranking: { readonly key: string; readonly ranking: Ranking } | undefined

const open = async (request: Extract<LookRequest, { kind: 'open' }>): Promise<void> => {
  say({ kind: 'progress', text: `Reading ${request.input.model.name}` })
  const found = await readInput(request.input)
  if (E.isLeft(found)) return fail(found.left)
  read = found.right
  const { graph, masks } = read
  const inspection = inspect(graph, masks, {
    subgraphs,
    observer: ({ name }) => say({ kind: 'progress', text: `Looking at the layers: ${name}` }),
  })
  if (E.isLeft(inspection)) return fail(inspection.left)
  const { layers, density, report } = inspection.right
  say({
    kind: 'overview',
    overview: { layers, density, before: report.before, after: report.after, sizes: report.sizes },
  })
}

/** Ranked once for each score and scope; selecting takes milliseconds. */
const rankedFor = ({ graph, masks }: Read, { score, scope }: Selection): E.Either<Failure, Ranking> => {
  const key = `${score} ${scope}`
  if (ranking?.key === key) return E.right(ranking.ranking)
  const ranked = rankChannels(graph, masks, { score, scope, seed: 1 })
  if (E.isRight(ranked)) ranking = { key, ranking: ranked.right }
  return ranked
}

const select = ({ selection }: Extract<LookRequest, { kind: 'select' }>): void => {
  if (read === undefined) return
  const ranked = rankedFor(read, selection)
  if (E.isLeft(ranked)) return fail(ranked.left)
  const pruned = ranked.right.select({ ...selection, multiple: 1 })
  if (E.isLeft(pruned)) return fail(pruned.left)
  const { widths, wanted, removed, note } = pruned.right
  say({
    kind: 'preview',
    preview: { channels: selection.channels, widths, wanted, removed, ...(note === undefined ? {} : { note }) },
  })
}

/** Requests that came while one was answered; of several selections only the last counts. */
const waiting: LookRequest[] = []
let busy = false

const answer = async (): Promise<void> => {
  if (busy) return
  busy = true
  for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
    if (request.kind === 'select' && waiting.some(({ kind }) => kind === 'select')) continue
    await (request.kind === 'open' ? open(request) : select(request))
    // Lets messages in that arrived meanwhile.
    await new Promise((resolve) => setTimeout(resolve))
  }
  busy = false
}

addEventListener('message', ({ data }: MessageEvent<LookRequest>) => {
  waiting.push(data)
  void answer()
})
