export function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
      <rect width="32" height="32" rx="7" class="mark-back" /><path d="M18 5 8 18h6l-2 9 11-14h-6z" class="mark-front" />
    </svg>
  )
}
