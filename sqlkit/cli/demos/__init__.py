"""What ``sqlkit demo <app>`` shows: a module for each application but soleil, with ``show(target, **options)``."""
