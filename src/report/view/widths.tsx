/** The widths of a network's layers, before and after, from its input to its output. */
import { area, curveStepAfter, line } from 'd3-shape'
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import { formatRelativeChange } from '../units.ts'
import { Key, tied } from './parts.tsx'
import { niceScaleOf } from './scale.ts'
import { type Stage, stagesOf } from './stages.ts'

/** A layer as the picture needs it. */
export interface LayerWidth {
  readonly layer: string
  readonly op: string
  readonly before: number
  readonly after: number
  /** If it could shrink by itself; absent where that is not known. */
  readonly alone?: number | undefined
  /** Multiply-accumulates. */
  readonly macs: { readonly before: number; readonly after: number }
}

/** The height of a picture in its own units; it is stretched to the width of the page, one unit for each layer. */
const height = 100

/** The share of the layers up to which there is no room for figures below a stage; on a phone. */
const narrow = 0.08
const narrowOnPhone = 0.12

/** Beyond this many layers none says its name when it is pointed at: a page would hold little else. */
const mostNamed = 500

export const WidthPicture = ({ layers }: { readonly layers: ReadonlyArray<LayerWidth> }): VNode | null => {
  if (layers.length === 0) return null
  const most = layers.reduce((n, { before, alone = 0 }) => Math.max(n, before, alone), 1)
  const { at: y, ticks: ticksOf } = niceScaleOf(0, most, 4, [height, 0])
  const ticks = ticksOf(4)
  const stages = stagesOf(layers.map(({ layer, op, before }) => ({ layer, op, width: before })))
  const steps = (of: (layer: LayerWidth) => number): Array<[number, number]> => {
    const points = layers.map((layer, at): [number, number] => [at, y(of(layer))])
    const last = points.at(-1)
    return last === undefined ? points : [...points, [layers.length, last[1]]]
  }
  const filled = area<[number, number]>()
    .x(([x]) => x)
    .y0(height)
    .y1(([, top]) => top)
    .curve(curveStepAfter)
    .digits(2)
  const drawn = line<[number, number]>().curve(curveStepAfter).digits(2)
  const showsAlone = layers.some(({ alone }) => alone !== undefined)
  return (
    <figure class="widths">
      <figcaption>
        Output channels of each layer, from the input (left) to the output (right)
        <Key
          entries={[['before', 'before'], ['after', 'after'], ...(showsAlone ? ([['alone', 'alone']] as const) : [])]}
        />
      </figcaption>
      <div class="plot">
        <div class="axis" aria-hidden="true">
          {ticks.map((tick) => (
            <span key={tick} style={{ top: `${y(tick).toFixed(2)}%` }}>
              {most >= 1000 && tick > 0 ? `${tick / 1000}k` : tick}
            </span>
          ))}
        </div>
        <svg
          viewBox={`0 0 ${layers.length} ${height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={heard(stages, layers)}
        >
          {ticks.map((tick) => (
            <line key={tick} class="grid" x1={0} x2={layers.length} y1={y(tick).toFixed(2)} y2={y(tick).toFixed(2)} />
          ))}
          <path class="before" d={filled(steps(({ before }) => before)) ?? ''} />
          <path class="after" d={filled(steps(({ after }) => after)) ?? ''} />
          {showsAlone && <path class="alone" d={drawn(steps(({ alone, after }) => alone ?? after)) ?? ''} />}
          {stages.slice(1).map(({ first }) => (
            <line key={first} class="edge" x1={first} x2={first} y1={0} y2={height} />
          ))}
          {layers.length <= mostNamed &&
            layers.map((layer, at) => (
              <rect key={at} class="hit" x={at} y={0} width={1} height={height}>
                <title>{told(layer)}</title>
              </rect>
            ))}
        </svg>
      </div>
      <Stages stages={stages} layers={layers} />
    </figure>
  )
}

const told = ({ layer, before, after, alone }: LayerWidth): string =>
  `${printable(layer)}: ${before} before, ${after} after${alone === undefined ? '' : `, ${alone} alone`}`

const sum = (layers: ReadonlyArray<LayerWidth>, of: (layer: LayerWidth) => number): number =>
  layers.reduce((n, layer) => n + of(layer), 0)

/** The names of the stages below the layers that they span, and what became of their multiply-accumulates. */
const Stages = ({
  stages,
  layers,
}: {
  readonly stages: ReadonlyArray<Stage>
  readonly layers: ReadonlyArray<LayerWidth>
}): VNode | null =>
  stages.length < 2 ? null : (
    <div class="stages" aria-hidden="true">
      <span>MACs</span>
      <ol>
        {stages.map(({ name, first, end }) => {
          const share = (end - first) / layers.length
          const changed = change(layers.slice(first, end))
          return (
            <li
              key={first}
              class={placing(share, printable(name))}
              style={{ flexGrow: end - first }}
              title={`${printable(name)}: ${changed} MACs`}
            >
              <b>{printable(name)}</b>
              {share > narrow && <span>{tied(changed)}</span>}
            </li>
          )
        })}
      </ol>
    </div>
  )

/** Names that do not fit their stage stand upright: `tall` on any screen, `tight` on a phone. By the usual widths of letters, in pixels. */
const placing = (share: number, name: string): string | undefined => {
  if (share * 800 < 7.5 * name.length + 8) return 'tall tight'
  return share < narrowOnPhone || share * 315 < 6.5 * name.length + 5 ? 'tight' : undefined
}

const change = (layers: ReadonlyArray<LayerWidth>): string =>
  formatRelativeChange(
    sum(layers, ({ macs }) => macs.before),
    sum(layers, ({ macs }) => macs.after),
  )

/** The picture in words. */
const heard = (stages: ReadonlyArray<Stage>, layers: ReadonlyArray<LayerWidth>): string =>
  `Widths of ${layers.length} layers. ${stages
    .map(({ name, first, end }) => {
      const own = layers.slice(first, end)
      const widths = `${sum(own, ({ before }) => before)} channels before, ${sum(own, ({ after }) => after)} after`
      return `${printable(name)}: ${widths}, ${change(own)} MACs`
    })
    .join('. ')}.`
