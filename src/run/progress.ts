/** How far long work has come. `done` of `total` steps of `phase` are finished; `note` says what the step is. */
export interface Progress {
  readonly phase: 'load' | 'sizes' | 'verify' | 'warm-up' | 'measure'
  readonly done: number
  readonly total: number
  readonly note: string
}

export type OnProgress = (progress: Progress) => void
