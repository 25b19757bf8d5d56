/** Workers as the page uses them: one at a time for each purpose, ended when another begins. */
import { useCallback, useEffect, useRef } from 'preact/hooks'

/** Starts a worker in the place of the one before, which ends at once whatever it does. */
export const useWorker = <Request, Reply>(
  start: () => Worker,
  onReply: (reply: Reply) => void,
  onCrash: (message: string) => void,
): {
  readonly begin: (request: Request) => void
  readonly ask: (request: Request) => void
  readonly end: () => void
} => {
  const worker = useRef<Worker | undefined>(undefined)
  const handlers = useRef({ onReply, onCrash })
  handlers.current = { onReply, onCrash }
  const end = useCallback(() => {
    worker.current?.terminate()
    worker.current = undefined
  }, [])
  const begin = useCallback(
    (request: Request) => {
      end()
      const started = start()
      const isCurrent = (): boolean => worker.current === started
      started.addEventListener('message', ({ data }: MessageEvent<Reply>) => {
        if (isCurrent()) handlers.current.onReply(data)
      })
      started.addEventListener('error', (event) => {
        event.preventDefault()
        if (isCurrent()) handlers.current.onCrash(event.message || 'the worker could not be loaded')
      })
      worker.current = started
      started.postMessage(request)
    },
    [end, start],
  )
  const ask = useCallback((request: Request) => worker.current?.postMessage(request), [])
  useEffect(() => end, [end])
  return { begin, ask, end }
}
