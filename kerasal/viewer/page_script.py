"""The script that Streamlit runs for each visit and each change of the live page."""

from kerasal.viewer.live_page import show_page
from kerasal.viewer.page_server import current_page

show_page(*current_page())
