"""What can be drawn, converted and fetched of images, audio and video: the contracts of three kinds of plug-ins."""
