/** The small parts that views are made of: names, figures, sections, explanations. */
import type { ComponentChildren, VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { Remainder } from '../../passes/compile.ts'
import { countByKind } from '../reasons.ts'
import { plural } from '../units.ts'
import { type Term, meanings } from './glossary.ts'

/** A name from a model or a file, which may hold anything, as code. */
export const Name = ({ of }: { readonly of: string }): VNode => (
  <code>
    <Breakable text={of} />
  </code>
)

/** A name that is broken between its parts first, where it does not fit into a line. */
export const Breakable = ({ text }: { readonly text: string }): VNode => (
  <>
    {printable(text)
      .split(/(?<=[^/._:,][/._:,])(?=[^/._:,])/)
      .flatMap((part, at) => (at === 0 ? [part] : [<wbr key={at} />, part]))}
  </>
)

/** Text with numbers that stay on one line with their units, and with signs that are as wide as digits. */
export const tied = (text: string): string =>
  printable(text)
    .replace(/(\d) (?=[%kMGTP]|m?s\b)/g, '$1\u00a0')
    .replace(/(^|[\s(])-(?=\d)/g, '$1\u2212')

export type Tone = 'good' | 'bad' | 'soft' | 'plain'

export const Text = ({
  tone = 'plain',
  children,
}: {
  readonly tone?: Tone
  readonly children: ComponentChildren
}): VNode => <p class={tone === 'plain' ? undefined : tone}>{children}</p>

/** A part of a page under a heading of its own, with the words explained that it uses. */
export const Section = ({
  title,
  words = [],
  children,
}: {
  readonly title: string
  readonly words?: ReadonlyArray<Term>
  readonly children: ComponentChildren
}): VNode => (
  <section>
    <h2>{title}</h2>
    {children}
    <Glossary words={words} />
  </section>
)

/** What the words of a section mean, folded away. */
export const Glossary = ({ words }: { readonly words: ReadonlyArray<Term> }): VNode | null =>
  words.length === 0 ? null : (
    <details class="glossary">
      <summary>What the words mean</summary>
      <dl>
        {words.map((word) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{meanings[word]}</dd>
          </div>
        ))}
      </dl>
    </details>
  )

/** A figure in large type with what it was before. */
export interface Card {
  readonly name: string
  readonly figure: string
  readonly detail: string
}

export const Cards = ({ cards }: { readonly cards: ReadonlyArray<Card> }): VNode => (
  <dl class="cards">
    {cards.map(({ name, figure, detail }) => (
      <div class="card" key={name}>
        <dt>{printable(name)}</dt>
        <dd>
          <b>{tied(figure)}</b>
          <span class="soft">{tied(detail)}</span>
        </dd>
      </div>
    ))}
  </dl>
)

/** How many channels stay for which reason: `3 channels (width)`. */
export const countedReasons = (stays: ReadonlyArray<Remainder>): string =>
  [...countByKind(stays)].map(([kind, count]) => `${plural(count, 'channel')} (${kind})`).join(', ')

/** A swatch for each series of a chart, in the order of the list. */
export const Key = ({
  entries,
}: {
  readonly entries: ReadonlyArray<readonly [kind: 'before' | 'after' | 'alone', text: string]>
}): VNode => (
  <p class="key soft">
    {entries.map(([kind, text]) => (
      <span key={kind}>
        <i class={kind} />
        {text}
      </span>
    ))}
  </p>
)
