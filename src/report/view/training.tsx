/** What training did, in a report. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import { curvesOf } from '../curves.ts'
import { isNoise } from '../speeds.ts'
import type { NetworkFigures, SoupIngredient, SoupReport, TrainingReport } from '../training.ts'
import {
  describeSoup,
  describeSpeeds,
  describeTest,
  describeValidation,
  networkColumns,
  soupColumns,
} from '../training-words.ts'
import {
  formatAccuracy,
  formatBytes,
  formatChange,
  formatCount,
  formatNumber,
  formatPercent,
  formatRatio,
  formatRelativeChange,
} from '../units.ts'
import { LayerMap } from './layer-map.tsx'
import { LineChart } from './line-chart.tsx'
import { type Card, Section, Text } from './parts.tsx'
import { Speed } from './speed.tsx'
import { type Column, Table } from './table.tsx'

/** What became of the dense network: its accuracy, size and speed. */
export const trainingCards = ({ networks }: TrainingReport): ReadonlyArray<Card> => {
  const [dense, compiled] = [networks[0], networks.at(-1)]
  if (dense === undefined || compiled === undefined) return []
  const change = (name: string, of: 'parameters' | 'macs' | 'bytes', format: (value: number) => string): Card => ({
    name,
    figure: formatRelativeChange(dense[of], compiled[of]),
    detail: `${format(dense[of])} → ${format(compiled[of])}`,
  })
  const accuracy = (fraction: number | undefined): string =>
    fraction === undefined ? 'not trained' : formatAccuracy(fraction)
  const { speedup, throughput } = compiled.speed
  return [
    { name: 'accuracy', figure: accuracy(compiled.accuracy), detail: `dense: ${accuracy(dense.accuracy)}` },
    change('parameters', 'parameters', formatCount),
    change('MACs', 'macs', formatCount),
    change('file', 'bytes', formatBytes),
    {
      name: 'throughput',
      figure: formatRatio(speedup.median),
      detail: isNoise(speedup)
        ? 'within the noise of the dense network'
        : `${formatCount(dense.speed.throughput.median)}/s → ${formatCount(throughput.median)}/s`,
    },
  ]
}

/** Networks, what they were trained on and how, how fast they are, and how training went. */
export const Training = ({ training }: { readonly training: TrainingReport }): VNode => {
  const { model, data, backend, recipe, networks, test } = training
  const how = `${model} on ${data}: ${recipe.method.name}, ${recipe.epochs} epochs of batches of ${recipe.batch}, seed ${recipe.seed}, on ${backend}.`
  return (
    <>
      <Section title="Training" words={['masked model', 'compiled model', 'multiply-accumulates']}>
        <Text tone="soft">{printable(how)}</Text>
        <Table
          label="Networks"
          columns={networkColumns.map(({ title, cell, numeric = false }): Column<NetworkFigures> => ({
            title,
            cell: (network) => printable(cell(network)),
            numeric,
          }))}
          rows={networks}
        />
        <Text tone={test.differing === 0 ? 'good' : 'bad'}>{printable(describeTest(test))}</Text>
        {training.soup === undefined && <Text>{printable(describeValidation(training))}</Text>}
      </Section>
      {training.soup === undefined ? (
        <Section title="How training went" words={['density', 'channel']}>
          <Curves training={training} />
          <Recipe recipe={recipe} />
        </Section>
      ) : (
        <Section title="What the soup is made of">
          <SoupTable soup={training.soup} />
          <Recipe recipe={recipe} />
        </Section>
      )}
      <Section title="Measured speed" words={['quartiles', 'noise']}>
        {describeSpeeds(training).map((sentence) => (
          <p key={sentence}>
            <strong>{printable(sentence)}</strong>
          </p>
        ))}
        <Speed measurements={networks.map(({ name, speed }) => ({ ...speed, name }))} sentences={false} />
      </Section>
    </>
  )
}

const Recipe = ({ recipe }: Pick<TrainingReport, 'recipe'>): VNode => (
  <details>
    <summary>Recipe</summary>
    <pre>{printable(JSON.stringify(recipe, null, 2))}</pre>
  </details>
)

const SoupTable = ({ soup }: { readonly soup: SoupReport }): VNode => (
  <>
    <Text>{printable(describeSoup(soup))}</Text>
    <Table
      label="Runs in the soup"
      columns={soupColumns.map(({ title, cell, numeric = false }): Column<SoupIngredient> => ({
        title,
        cell: (one) => printable(cell(one)),
        numeric,
      }))}
      rows={soup.ingredients}
    />
  </>
)

const Curves = ({ training: { history, recipe, validation } }: { readonly training: TrainingReport }): VNode => {
  const curves = curvesOf(history, recipe.learningRate)
  const x = { name: 'epochs', end: curves.epochs }
  const longer = curves.extensions.map(({ epoch, epochs }) => ({ x: epoch, name: `made longer, to ${epochs} epochs` }))
  const best =
    validation === null
      ? []
      : [{ x: validation.best.epoch, name: `best validation accuracy, epoch ${validation.best.epoch}` }]
  const { layers, times } = curves.layers
  const slimmed = layers.some(({ channelsLeft }) => channelsLeft.some((share) => share < 1))
  const changing = curves.density.some(([, density]) => density !== 1)
  // What is no accuracy begins at 0.
  const number = { x, format: formatNumber, include: [0], marks: longer }
  return (
    <>
      <div class="charts">
        <LineChart
          title="Accuracy"
          curves={[
            { name: 'training', points: curves.accuracy },
            { name: 'validation', points: curves.validationAccuracy },
          ]}
          x={x}
          format={formatPercent}
          marks={[...longer, ...best]}
        />
        <LineChart
          title="Loss"
          curves={[
            { name: 'training', points: curves.loss },
            { name: 'validation', points: curves.validationLoss },
          ]}
          {...number}
        />
        <LineChart
          title="Learning rate"
          curves={[{ name: 'learning rate', points: curves.learningRate }]}
          {...number}
        />
        {changing && (
          <LineChart
            title="Density"
            curves={[{ name: 'weights kept', points: curves.density }]}
            {...number}
            format={formatPercent}
            steps
          />
        )}
        {slimmed && (
          <LineChart
            title="Channels"
            curves={[{ name: 'channels left', points: curves.channels }]}
            {...number}
            format={(value) => String(Math.round(value))}
            steps
          />
        )}
      </div>
      {(longer.length > 0 || best.length > 0) && (
        <Text tone="soft">Dotted lines: {[...best, ...longer].map(({ name }) => name).join('; ')}.</Text>
      )}
      {changing && (
        <LayerMap
          title="Weights kept of each layer, over time"
          whole="all weights"
          rows={layers.map(({ name, densities }) => ({
            layer: name,
            shares: densities,
            left: formatPercent(densities.at(-1) ?? 0),
          }))}
          times={times}
          x={x}
        />
      )}
      {slimmed && (
        <LayerMap
          title="Channels left of each layer, over time"
          whole="all channels"
          rows={layers.map(({ name, channels, channelsLeft }) => ({
            layer: name,
            shares: channelsLeft,
            left: formatChange(String(channels), String(Math.round(channels * (channelsLeft.at(-1) ?? 1)))),
          }))}
          times={times}
          x={x}
        />
      )}
    </>
  )
}
