/** A compilation as people read it: the same in `report.html` and on the page. */
import { type ComponentChildren, Fragment, type VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { LayerReport } from '../../passes/compile.ts'
import type { Measurement } from '../../run/measure.ts'
import { describeFloat16, describeFloat16Error, keptInFloat32 } from '../float16-error.ts'
import { matchNotes, matchRows, matchTitles, renderMatchLine } from '../matching.ts'
import { formatRanges } from '../ranges.ts'
import { adviceLeftOutLine, fullReason, meaningOf, totalReasons } from '../reasons.ts'
import type { Results } from '../results.ts'
import { againstDense } from '../training.ts'
import { describePredicted, describeReached, describeSizes, totalRows } from '../totals.ts'
import { formatChange, formatCount, formatError, formatPercent, formatRelativeChange, plural } from '../units.ts'
import { widthsNote } from '../../passes/target.ts'
import { DensityMaps } from './density.tsx'
import { Breakable, type Card, Cards, countedReasons, Key, Name, Section, Text, tied } from './parts.tsx'
import { Speed } from './speed.tsx'
import { type Column, Table } from './table.tsx'
import { Training, trainingCards } from './training.tsx'
import { verdictOf } from './verdict.ts'
import { WidthPicture } from './widths.tsx'

interface Props {
  readonly results: Results
}

/** What the model is called in sentences. */
export const nameOfResults = ({ model, training }: Results): string => model?.name ?? training?.model ?? 'The model'

export const Result = ({ results: found }: Props): VNode => {
  const { training, report } = found
  // What was trained here is compared with the dense network.
  const results = training === undefined ? found : { ...found, report: againstDense(report, training) }
  return <Sections results={results} />
}

const Sections = ({ results }: Props): VNode => (
  <>
    <Headline results={results} />
    <Figures results={results} />
    {results.training !== undefined && <Training training={results.training} />}
    <Widths results={results} />
    <MeasuredSpeed results={results} />
    <Layers results={results} />
    <Reasons results={results} />
    <NextMasks results={results} />
    <Densities results={results} />
    <HalfPrecision results={results} />
    <Verification results={results} />
    <Matched results={results} />
    <Listed
      title="Masks that take effect nowhere"
      noun="mask"
      rows={results.report.idleMasks.map(({ mask, reason }) => [mask, reason])}
    />
    <Listed
      title="Nodes kept as they are"
      noun="node"
      rows={results.report.opaque.map(({ node, reason }) => [node, reason])}
    />
    <Listed
      title="Nodes not folded"
      noun="node"
      rows={results.report.refusals.map(({ node, reason }) => [node, reason])}
    />
    <Made results={results} />
  </>
)

const Headline = ({ results }: Props): VNode => {
  const { tone, happened, accuracy, trust, speed } = verdictOf(nameOfResults(results), results)
  return (
    <div class={`verdict ${tone}`}>
      <p class="happened">{tied(happened)}</p>
      {accuracy !== undefined && <p>{tied(accuracy)}</p>}
      <p>{tied(trust)}</p>
      {speed !== undefined && <p>{tied(speed)}</p>}
    </div>
  )
}

/** The figures that count most. Of a network that was trained here, compared with the dense one. */
const Figures = ({ results: { report, training } }: Props): VNode => {
  if (training !== undefined) return <Cards cards={trainingCards(training)} />
  const cards = totalRows.map(({ name, of, format }): Card => {
    const [before, after] = [report.before[of], report.after[of]]
    return { name, figure: formatRelativeChange(before, after), detail: `${format(before)} → ${format(after)}` }
  })
  return <Cards cards={cards} />
}

const Widths = ({ results: { report } }: Props): VNode | null => {
  if (report.layers.length === 0) return null
  const sizes = describeSizes(report.sizes)
  return (
    <Section title="Widths along the network" words={['channel', 'width', 'alone', 'multiply-accumulates']}>
      <WidthPicture
        layers={report.layers.map(({ layer, op, outputs, alone, macs }) => ({
          layer,
          op,
          before: outputs.before,
          after: outputs.after,
          alone: alone.outputs,
          macs,
        }))}
      />
      <Text>
        {describeReached(report, 'multiply-accumulates')}
        {sizes !== '' && ` Counted for ${printable(sizes)}.`}
      </Text>
    </Section>
  )
}

const MeasuredSpeed = ({ results: { report, measured } }: Props): VNode | null => {
  const groups = byPlace(measured?.speed ?? [])
  const predicted = report.predicted && <Text>{printable(describePredicted(report.predicted))}</Text>
  if (groups.length === 0)
    return predicted === undefined ? null : <Section title="Predicted speed">{predicted}</Section>
  return (
    <Section title="Measured speed" words={['quartiles', 'noise']}>
      {groups.map(([place, measurements]) => (
        <Fragment key={place}>
          {groups.length > 1 && <h3>{printable(place)}</h3>}
          <Speed measurements={measurements} />
        </Fragment>
      ))}
      {predicted}
    </Section>
  )
}

/** What ran in the same runtime on the same provider, which only is compared with each other. */
const byPlace = (
  speed: ReadonlyArray<Measurement>,
): ReadonlyArray<readonly [place: string, measurements: ReadonlyArray<Measurement>]> => {
  const places = new Map<string, Measurement[]>()
  for (const measurement of speed) {
    const place = `${measurement.runtime} on ${measurement.provider}`
    places.set(place, [...(places.get(place) ?? []), measurement])
  }
  return [...places]
}

const Layers = ({ results: { report, training } }: Props): VNode | null => {
  if (report.layers.length === 0) return null
  const largest = report.layers.reduce((most, { macs }) => Math.max(most, macs.before), 0)
  return (
    <Section title="Layers" words={['width', 'multiply-accumulates', 'alone', 'dead channel', 'constant channel']}>
      <Key
        entries={[
          ['before', `multiply-accumulates ${training === undefined ? 'before' : 'of the dense network'}`],
          ['after', 'after'],
          ['alone', 'if the layer could shrink by itself'],
        ]}
      />
      <Table
        label="Layers"
        columns={layerColumns(largest)}
        rows={report.layers.map((layer, at) => ({ layer, at }))}
        isPlain={({ layer: { macs, stays } }) =>
          macs.after === macs.before && macs.alone === macs.after && stays.length === 0
        }
      />
    </Section>
  )
}

interface LayerRow {
  readonly layer: LayerReport
  readonly at: number
}

const layerColumns = (largest: number): ReadonlyArray<Column<LayerRow>> => [
  {
    title: 'layer',
    cell: ({ layer }) => (
      <>
        <Name of={layer.layer} />
        <br />
        <span class="soft">
          {printable(layer.op)} <Breakable text={layer.weight} />
          {layer.joined !== undefined && `, computed by ${printable(layer.joined)} as well`}
        </span>
      </>
    ),
    key: ({ at }) => at,
    wide: true,
  },
  {
    title: 'in',
    cell: ({ layer: { inputs } }) => formatChange(String(inputs.before), String(inputs.after)),
    key: ({ layer }) => layer.inputs.after,
    numeric: true,
  },
  {
    title: 'out',
    cell: ({ layer: { outputs } }) => formatChange(String(outputs.before), String(outputs.after)),
    key: ({ layer }) => layer.outputs.after,
    numeric: true,
  },
  {
    title: 'MACs',
    cell: ({ layer: { macs } }) => (
      <>
        {formatChange(formatCount(macs.before), formatCount(macs.after))}
        <Bars macs={macs} largest={largest} />
      </>
    ),
    key: ({ layer }) => layer.macs.before,
    numeric: true,
    wide: true,
  },
  {
    title: 'change',
    cell: ({ layer: { macs } }) => tied(formatRelativeChange(macs.before, macs.after)),
    key: ({ layer: { macs } }) => (macs.before === 0 ? 0 : macs.after / macs.before),
    numeric: true,
    more: true,
  },
  {
    title: 'alone',
    cell: ({ layer: { macs } }) => formatCount(Math.round(macs.alone)),
    key: ({ layer: { macs } }) => macs.alone,
    numeric: true,
    more: true,
  },
  {
    title: 'stays, though nothing needs it',
    cell: ({ layer: { stays } }) =>
      stays.length === 0 ? null : (
        <details>
          <summary>{countedReasons(stays)}</summary>
          <ul>
            {stays.map((stay, i) => (
              <li key={i}>{printable(fullReason(stay, formatRanges(stay.channels)))}</li>
            ))}
          </ul>
        </details>
      ),
    key: ({ layer: { stays } }) => stays.reduce((n, { channels }) => n + channels.length, 0),
    numeric: false,
    wide: true,
  },
]

const Bars = ({ macs, largest }: { readonly macs: LayerReport['macs']; readonly largest: number }): VNode => {
  const width = (of: 'before' | 'after' | 'alone'): string =>
    `${(largest === 0 ? 0 : (100 * macs[of]) / largest).toFixed(2)}%`
  return (
    <div class="bars" aria-hidden="true">
      {(['before', 'after', 'alone'] as const).map((of) => (
        <i key={of} class={macs[of] === 0 ? 'none' : of} style={{ width: width(of) }} />
      ))}
    </div>
  )
}

const Reasons = ({ results: { report } }: Props): VNode | null => {
  const rows = totalReasons(report.layers)
  return rows.length === 0 ? null : (
    <Section title="Why channels that nothing needs stay" words={['dead channel', 'constant channel']}>
      <Table
        label="Why channels that nothing needs stay"
        columns={[
          { title: 'reason', cell: ({ kind }) => kind, key: ({ kind }) => kind },
          { title: 'channels', cell: ({ channels }) => channels, key: ({ channels }) => channels, numeric: true },
          { title: 'layers', cell: ({ layers }) => layers, key: ({ layers }) => layers, numeric: true },
          { title: 'what it means', cell: ({ kind }) => meaningOf(kind, report.target), wide: true },
        ]}
        rows={rows}
      />
    </Section>
  )
}

const NextMasks = ({ results: { report } }: Props): VNode | null => {
  if (report.adviceLeftOut !== undefined) {
    return (
      <Section title="What to mask next">
        <Text tone="soft">{`${adviceLeftOutLine(report.adviceLeftOut)}.`}</Text>
      </Section>
    )
  }
  const rows = report.advice ?? []
  return rows.length === 0 ? null : (
    <Section title="What to mask next" words={['mask', 'multiply-accumulates']}>
      <Text>
        Masking these output channels too would let others go that stay because of them. It changes what the network
        computes: try what it does to the accuracy.
      </Text>
      <Table
        label="What to mask next"
        columns={[
          {
            title: 'output channels',
            cell: ({ mask }) =>
              mask.map(({ layer, channels }, at) => (
                <div key={at}>
                  <Name of={layer} />: {formatRanges(channels)}
                </div>
              )),
            wide: true,
          },
          {
            title: 'multiply-accumulates saved',
            cell: ({ macs }) => tied(`-${formatCount(macs)}`),
            key: ({ macs }) => macs,
            numeric: true,
          },
        ]}
        rows={rows}
      />
    </Section>
  )
}

const Densities = ({ results: { report, pictures } }: Props): VNode | null => {
  const layers = report.layers.flatMap(({ layer, weight }) => {
    const picture = pictures?.get(weight)
    return picture === undefined ? [] : [{ layer, picture }]
  })
  return layers.length === 0 ? null : (
    <Section title="Where the weights are that count" words={['density', 'mask', 'channel']}>
      <Text tone="soft">
        One picture for each layer of the masked model: output channels down, input channels across. The stronger the
        colour, the more of the weights there are not zero; empty rows and columns are channels that can go.
      </Text>
      <DensityMaps layers={layers} />
    </Section>
  )
}

const HalfPrecision = ({ results: { report, float16Error } }: Props): VNode | null => {
  const { float16 } = report
  return float16 === undefined ? null : (
    <Section title="Half precision" words={['half precision', 'relative difference']}>
      <Text>{printable(describeFloat16(float16))}</Text>
      {float16Error !== undefined && <Text>{printable(describeFloat16Error(float16Error))}</Text>}
      {float16Error !== undefined && (
        <Table
          label="Errors of half precision"
          columns={[
            { title: 'output', cell: ({ output }) => <Name of={output} />, key: ({ output }) => output, wide: true },
            { title: 'relative', cell: (o) => formatError(o.relative), key: (o) => o.relative, numeric: true },
            { title: 'absolute', cell: (o) => formatError(o.absolute), key: (o) => o.absolute, numeric: true },
            {
              title: 'same argmax',
              cell: ({ sameArgmax }) => (sameArgmax === undefined ? '' : formatPercent(sameArgmax)),
              key: ({ sameArgmax = 2 }) => sameArgmax,
              numeric: true,
            },
          ]}
          rows={float16Error.outputs}
        />
      )}
      {float16.kept.length > 0 && (
        <details>
          <summary>{plural(float16.kept.length, 'node')} kept in float32</summary>
          <Table
            label="Nodes kept in float32"
            columns={[
              { title: 'nodes', cell: ({ nodes }) => <Name of={nodes.join(', ')} />, wide: true },
              { title: 'because', cell: ({ reason }) => printable(reason), wide: true },
            ]}
            rows={keptInFloat32(float16)}
          />
        </details>
      )}
    </Section>
  )
}

const Verification = ({ results: { verification: found, measured } }: Props): VNode | null => {
  if (found === undefined) return null
  const sizes = [...new Set(found.cases.map((one) => describeSizes(one.sizes)))].filter((text) => text !== '')
  const seeds = [...new Set(found.cases.flatMap(({ seed }) => (seed === undefined ? [] : [seed])))]
  const magnitudes = [...new Set(found.cases.map(({ magnitude = 1 }) => magnitude))].sort((a, b) => a - b)
  const facts: ReadonlyArray<readonly [string, string]> = [
    ['Runtime', `${found.runtime} on ${found.provider}`],
    ['Inputs', plural(found.cases.length, 'case')],
    ...(seeds.length === 0 ? [] : [['Random seeds', seeds.join(', ')] as const]),
    ...(sizes.length === 0 ? [] : [['Sizes', sizes.join('; ')] as const]),
    ...(magnitudes.length < 2 ? [] : [['Inputs multiplied by', magnitudes.map(formatFactor).join(', ')] as const]),
    ['Counts as equal', `relative differences up to ${formatError(found.tolerance.float32)} (float32)`],
    ...(measured?.relativeError === undefined
      ? []
      : [['Largest difference', formatError(measured.relativeError)] as const]),
  ]
  return (
    <Section title="How it was verified" words={['masked model', 'compiled model', 'relative difference', 'tolerance']}>
      <Facts facts={facts} />
    </Section>
  )
}

/** Powers of ten beyond what is easily counted as such. */
const formatFactor = (factor: number): string =>
  factor < 1e6 ? String(factor) : factor.toExponential().replace('+', '')

const Facts = ({ facts }: { readonly facts: ReadonlyArray<readonly [string, ComponentChildren]> }): VNode => (
  <dl class="facts">
    {facts.map(([name, content]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{typeof content === 'string' ? printable(content) : content}</dd>
      </div>
    ))}
  </dl>
)

const Matched = ({ results: { matching } }: Props): VNode | null =>
  matching === undefined ? null : (
    <Section title="Masks and their weights" words={['mask']}>
      <Text>{printable(renderMatchLine(matching).split('\n')[0] ?? '')}</Text>
      <details>
        <summary>Each mask and its weight</summary>
        <Table
          label="Masks and their weights"
          columns={matchTitles.map((title, at): Column<ReadonlyArray<string>> => ({
            title: at === 4 ? 'its shape' : title,
            cell: (row) => (at === 0 || at === 3 ? <Name of={row[at] ?? ''} /> : printable(row[at] ?? '')),
            key: (row) => row[at] ?? '',
            numeric: at === 2,
            wide: at === 0 || at === 3 || at === 5,
          }))}
          rows={matchRows(matching)}
        />
        {matchNotes(matching).map((note) => (
          <Text tone="soft" key={note}>
            {printable(note)}
          </Text>
        ))}
      </details>
    </Section>
  )

const Listed = ({
  title,
  noun,
  rows,
}: {
  readonly title: string
  readonly noun: string
  readonly rows: ReadonlyArray<readonly [name: string, reason: string]>
}): VNode | null =>
  rows.length === 0 ? null : (
    <Section title={title}>
      <Table
        label={title}
        columns={[
          { title: noun, cell: ([name]) => <Name of={name} />, key: ([name]) => name, wide: true },
          { title: 'because', cell: ([, reason]) => printable(reason), key: ([, reason]) => reason, wide: true },
        ]}
        rows={rows}
      />
    </Section>
  )

const Made = ({ results: { version, report, model, masks, note } }: Props): VNode => {
  const changed = Object.entries(report.passes).filter(([, count]) => count > 0)
  const file = ({ name, sha256 }: { readonly name: string; readonly sha256: string }): VNode => (
    <>
      {printable(name)}, SHA-256 <Name of={sha256} />
    </>
  )
  return (
    <Section title="How it was made">
      <Facts
        facts={[
          [
            'Compiled by',
            `chasec ${version} for ${report.target}${widthsNote(report.target) === '' ? '' : ', whose widths are not measured'}`,
          ],
          ...(model === undefined ? [] : [['Model', file(model)] as const]),
          ...(masks === undefined ? [] : [['Masks', file(masks)] as const]),
          ...(note === undefined ? [] : [['Note', note] as const]),
          ...(changed.length === 0
            ? []
            : [['Passes that changed the graph', changed.map(([name, n]) => `${name} (${n})`).join(', ')] as const]),
        ]}
      />
    </Section>
  )
}
