/** What is in a model, and what a budget would leave of it. */
import type { ComponentChildren, VNode } from 'preact'
import { useMemo } from 'preact/hooks'
import { printable } from '../../src/ir/printable.ts'
import { type ChannelScore, channelScores } from '../../src/masks/scores.ts'
import type { Target } from '../../src/passes/target.ts'
import { countBins } from '../../src/report/histogram.ts'
import { describeSizes } from '../../src/report/totals.ts'
import {
  formatBytes,
  formatChange,
  formatCount,
  formatPercent,
  formatRelativeChange,
  plural,
} from '../../src/report/units.ts'
import { type Card, Cards, countedReasons, Glossary, Name } from '../../src/report/view/parts.tsx'
import { type Column, Table } from '../../src/report/view/table.tsx'
import { WidthPicture } from '../../src/report/view/widths.tsx'
import { type Estimate, estimate, type Estimated } from './estimate.ts'
import type { Input, Overview, Preview, Selection } from './messages.ts'

export const Look = ({
  input,
  overview,
  preview,
  selection,
  target,
  onSelection,
  onTarget,
  showsLayers,
  children,
}: {
  readonly input: Input
  readonly overview: Overview
  readonly preview: Preview | undefined
  readonly selection: Selection
  readonly target: Target
  readonly onSelection: (selection: Selection) => void
  readonly onTarget: (target: Target) => void
  readonly showsLayers: boolean
  readonly children: ComponentChildren
}): VNode => {
  const estimated = useMemo(() => estimate(overview, preview), [overview, preview])
  // Not made anew at each step of the slider, but when it is known what the step leaves.
  const layers = useMemo(
    () => (
      <>
        <h3>Widths</h3>
        <WidthPicture
          layers={estimated.layers.map(({ facts: { layer, op }, outputs, macs }) => ({ layer, op, ...outputs, macs }))}
        />
        <details class="layers" open={showsLayers}>
          <summary>
            <h3>Layer by layer</h3>
          </summary>
          <Table label="Layers of the model" columns={columns} rows={estimated.layers} />
          <Glossary words={['density', 'dead channel', 'constant channel', 'score', 'width', 'multiply-accumulates']} />
        </details>
      </>
    ),
    [estimated, showsLayers],
  )
  return (
    <section aria-labelledby="model">
      <h2 id="model">{printable(input.model.name)}</h2>
      <p>{facts(input, overview)}</p>
      <Cards cards={cardsOf(overview, estimated)} />
      <Budget preview={preview} selection={selection} target={target} onSelection={onSelection} onTarget={onTarget} />
      {children}
      {layers}
    </section>
  )
}

const facts = ({ masks }: Input, { layers, density, before, after, sizes }: Overview): string => {
  const counted = describeSizes(sizes)
  const parts = [
    `${plural(layers.length, 'layer')} of ${plural(before.nodes, 'node')}, ${formatBytes(before.bytes)} of weights, ${formatPercent(density)} of them not zero${masks === undefined ? '' : ` under ${printable(masks.name)}`}.`,
    after.macs < before.macs
      ? `As it stands, compiling takes it from ${formatCount(before.macs)} to ${formatCount(after.macs)} multiply-accumulates.`
      : 'As it stands, no channel can go: choose how many to mask.',
    counted === '' ? '' : `Counted for ${printable(counted)}.`,
  ]
  return parts.filter((part) => part !== '').join(' ')
}

const cardsOf = (overview: Overview, { layers, macs, parameters }: Estimate): ReadonlyArray<Card> => {
  const channels = {
    before: layers.reduce((n, { outputs }) => n + outputs.before, 0),
    after: layers.reduce((n, { outputs }) => n + outputs.after, 0),
  }
  const card = (name: string, { before, after }: { readonly before: number; readonly after: number }): Card => ({
    name,
    figure: formatRelativeChange(before, after),
    detail:
      Math.round(before) === Math.round(after)
        ? `${formatCount(Math.round(before))}, as it stands`
        : `${formatCount(Math.round(before))} → about ${formatCount(Math.round(after))}`,
  })
  const dead = overview.layers.reduce((n, layer) => n + layer.dead.length + layer.constant.length, 0)
  return [
    card('multiply-accumulates', macs),
    card('parameters', parameters),
    card('channels', channels),
    { name: 'dead or constant', figure: formatCount(dead), detail: 'channels, as it stands' },
  ]
}

const scoreNames: Readonly<Record<ChannelScore, string>> = {
  umm: 'mean |w| of all weights (UMM)',
  mmm: 'mean |w| of weights not masked (MMM)',
  weights: 'share of weights not zero',
  kernels: 'share of kernels not zero',
  l1: 'sum of |w| (L1)',
  l2: 'root of the sum of w² (L2)',
}

const targets: ReadonlyArray<readonly [Target, string]> = [
  ['cpu', 'CPU and WebAssembly'],
  ['webgpu', 'WebGPU (widths not measured)'],
  ['cuda', 'CUDA (widths not measured)'],
]

const Budget = ({
  preview,
  selection,
  target,
  onSelection,
  onTarget,
}: {
  readonly preview: Preview | undefined
  readonly selection: Selection
  readonly target: Target
  readonly onSelection: (selection: Selection) => void
  readonly onTarget: (target: Target) => void
}): VNode => {
  const share = Math.round(100 * selection.channels)
  const told =
    preview === undefined
      ? ''
      : `${plural(preview.removed, 'channel')} of those that can go ${preview.removed === 1 ? 'is' : 'are'} masked.`
  return (
    <form class="budget" onSubmit={(event) => event.preventDefault()}>
      <div class="slider">
        <label for="share">
          Mask <b>{share} %</b> of the channels
        </label>
        <input
          type="range"
          id="share"
          aria-describedby="left"
          min={0}
          max={95}
          step={1}
          value={share}
          aria-valuetext={`${share} percent of the channels`}
          onInput={({ currentTarget }) => onSelection({ ...selection, channels: Number(currentTarget.value) / 100 })}
        />
        <span class="soft" id="left">
          {share === 0
            ? 'Masking more channels loses accuracy until the network is trained again; compiling loses nothing.'
            : `${told}${preview?.note === undefined ? '' : ` ${preview.note}`}`}
        </span>
      </div>
      <div class="choices">
        <label>
          Channels are scored by their
          <select
            value={selection.score}
            onChange={({ currentTarget }) => {
              const score = channelScores.find((name) => name === currentTarget.value)
              if (score !== undefined) onSelection({ ...selection, score })
            }}
          >
            {channelScores.map((score) => (
              <option key={score} value={score}>
                {scoreNames[score]}
              </option>
            ))}
          </select>
        </label>
        <label>
          Masked are channels
          <select
            value={selection.scope}
            onChange={({ currentTarget }) =>
              onSelection({ ...selection, scope: currentTarget.value === 'all' ? 'all' : 'block' })
            }
          >
            <option value="block">inside blocks</option>
            <option value="all">also of residual streams</option>
          </select>
        </label>
        <label>
          The model will run on
          <select
            value={target}
            onChange={({ currentTarget }) => {
              const found = targets.find(([name]) => name === currentTarget.value)
              if (found !== undefined) onTarget(found[0])
            }}
          >
            {targets.map(([name, text]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </select>
        </label>
      </div>
    </form>
  )
}

const bins = 16

/** How the scores of a layer's channels are spread: from 0, left, to the largest. */
const Scores = ({ scores }: { readonly scores: Float64Array }): VNode | null => {
  if (scores.length === 0) return null
  const counts = countBins(scores, bins)
  const most = Math.max(...counts)
  return (
    <svg class="scores" viewBox={`0 0 ${bins} 10`} preserveAspectRatio="none" aria-hidden="true">
      <path
        d={counts
          .map((count, at) => (count === 0 ? '' : `M${at} 10v-${((10 * count) / most).toFixed(2)}h1V10z`))
          .join('')}
      />
    </svg>
  )
}

const idle = ({ facts: { dead, constant } }: Estimated): number => dead.length + constant.length

const columns: ReadonlyArray<Column<Estimated>> = [
  {
    title: 'layer',
    cell: ({ facts: { layer, op, shape } }) => (
      <>
        <Name of={layer} />
        <br />
        <span class="soft">{printable(`${op} ${shape.join('×')}`)}</span>
      </>
    ),
    key: ({ at }) => at,
    wide: true,
  },
  {
    title: 'density',
    cell: ({ facts: { density } }) => formatPercent(density),
    key: ({ facts: { density } }) => density,
    numeric: true,
  },
  {
    title: 'dead, constant',
    cell: (layer) => (idle(layer) === 0 ? '' : `${layer.facts.dead.length}, ${layer.facts.constant.length}`),
    key: idle,
    numeric: true,
  },
  {
    title: 'in',
    cell: ({ inputs }) => formatChange(String(inputs.before), String(inputs.after)),
    key: ({ inputs }) => inputs.after,
    numeric: true,
  },
  {
    title: 'out',
    cell: ({ outputs }) => formatChange(String(outputs.before), String(outputs.after)),
    key: ({ outputs }) => outputs.after,
    numeric: true,
  },
  {
    title: 'MACs',
    cell: ({ macs }) => formatChange(formatCount(macs.before), formatCount(Math.round(macs.after))),
    key: ({ macs }) => macs.after,
    numeric: true,
  },
  { title: 'scores', cell: ({ facts: { umm } }) => <Scores scores={umm} /> },
  {
    title: 'stays, though nothing needs it',
    cell: ({ facts: { change } }) => countedReasons(change?.stays ?? []),
    wide: true,
  },
]
