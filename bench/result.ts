/** What a benchmark found: for machines and for people. */
export interface BenchResult {
  readonly json: object
  readonly text: string
}
