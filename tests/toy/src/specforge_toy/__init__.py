"""A kind, `Glossary`, and a driver of stores, `toy`: what another distribution can add to specforge."""
