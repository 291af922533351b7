// Whether a text is an id that PostgreSQL takes: asked before a query, so that it can go by the index and fails for nothing else.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isUuid = (text: string) => UUID.test(text)
