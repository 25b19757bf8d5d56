/** Figures in large type, side by side. */
import { element, escapeHtml } from './html.ts'

export interface Card {
  readonly name: string
  readonly figure: string
  readonly detail: string
}

export const renderCards = (cards: ReadonlyArray<Card>): string => {
  const list = cards.map(({ name, figure, detail }) => {
    const soft = element('span', escapeHtml(detail), { class: 'soft' })
    return element('div', `${escapeHtml(name)}${element('b', escapeHtml(figure))}${soft}`, { class: 'card' })
  })
  return element('div', `\n${list.join('\n')}\n`, { class: 'cards' })
}
