// What a test has to undo, undone in reverse: the server before the folder that it runs in.
//
// node:test runs the after-hooks of a test in the order in which they were added.

import { after } from 'node:test'

/** A test, or a file of them. */
export interface Lasting {
  after(undo: () => Promise<void>): void
}

/** For what all tests of a file use. At the top of it: after() of a test that runs would be that test's own. */
export function lastingFile(): Lasting {
  let undoAll = () => Promise.resolve()
  after(() => undoAll())
  return { after: (undo) => void (undoAll = undo) }
}

const stacks = new WeakMap<Lasting, AsyncDisposableStack>()

export function defer(t: Lasting, undo: () => Promise<void> | void): void {
  let stack = stacks.get(t)
  if (!stack) {
    const made = new AsyncDisposableStack()
    stacks.set(t, made)
    t.after(() => made.disposeAsync())
    stack = made
  }
  stack.defer(undo)
}
