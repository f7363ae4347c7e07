from hypothesis import settings

# A busy machine is slow; that says nothing about a segment.
settings.register_profile("hasty", deadline=None)
settings.register_profile("long", deadline=None, max_examples=3000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("hasty")
