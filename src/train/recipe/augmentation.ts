/** How training images are varied, as plain data. */
import type { Augmentation } from '../data/index.ts'
import type { Entries } from './reader.ts'

/** What CIFAR is usually trained with where there are no entries. */
export const readAugmentation = (entries: Entries | undefined): Augmentation => {
  if (entries === undefined) return { crop: 'padded', padding: 4, flip: true }
  const augmentation = read(entries)
  entries.end()
  return augmentation
}

const read = (entries: Entries): Augmentation => {
  const crop = entries.choice('crop', ['padded', 'resized'], 'padded', 'all')
  switch (crop) {
    case 'padded': {
      const padding = entries.number('padding', { min: 0, max: 1024, whole: true }, 4)
      return { crop, padding, flip: entries.flag('flip', true) }
    }
    case 'resized':
      return {
        crop,
        scale: entries.span('scale', { min: 0, max: 1, aboveMin: true }, [0.08, 1]),
        ratio: entries.span('ratio', { min: 0, aboveMin: true }, [3 / 4, 4 / 3]),
        flip: entries.flag('flip', true),
      }
  }
}
