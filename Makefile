# In a fresh checkout, with Python 3.10, 3.11 or 3.12:
#   make demo        speak TEXT with the voice in checkpoints/
#   make page        speak on a page in the browser
#   make train-demo  train a small network on the clips of demo_corpus for a few minutes, and let it speak
#   make test        run the tests
#   make lint        check the style
#   make benchmark   compare with torchaudio, which PEER_PYTHON=... has; without it, torchaudio is installed too
# The first of them makes the virtual environment. PYTHON=/path/to/python3.11 and VENV=folder override the defaults.

VENV ?= .venv
PEER_VENV ?= .venv-peer
TEXT ?= Printing, in the only sense with which we are at present concerned, differs from most arts.
STEPS ?= 600
export SAY := $(value TEXT)

# Its name changes with the requirements and the Python, so that a change in either installs again.
REQUIREMENTS := requirements.txt requirements-onnx.txt requirements-serve.txt requirements-mandarin.txt \
	requirements-german.txt requirements-dev.txt
INSTALLED := $(VENV)/.installed-$(firstword $(shell (cat $(REQUIREMENTS); echo '$(PYTHON)') | cksum))
RUN := $(VENV)/bin/python

.PHONY: demo page train-demo test lint benchmark clean

demo: $(INSTALLED)
	$(RUN) eval.py --text "$$SAY" --output_dir demo
	@echo 'Speech: demo/0001.wav; its mel spectrogram and alignment: demo/0001.png'

page: $(INSTALLED)
	$(RUN) scripts/serve.py

# Interrupted and run again, it continues where it stopped.
train-demo: SAY = Italy is contentedly stagnant.
train-demo: $(INSTALLED)
	$(RUN) scripts/preprocess.py --data_path demo_corpus --output_dir data/demo --config config/tacotron2_small.yaml
	@ls demo/training/*.ckpt >/dev/null 2>&1 || rm -rf demo/training
	@if [ -e demo/training ]; then from='--resume demo/training'; \
	else from='--config config/tacotron2_small.yaml --data_path data/demo --output_dir demo/training'; fi; \
	set -x; $(RUN) train.py $$from --train.max_steps $(STEPS)
	$(RUN) eval.py --checkpoint "$$(ls -t demo/training/tacotron2-*.ckpt | head -n 1)" --text "$$SAY" \
		--output_dir demo/speech
	@echo; echo "Speech, \"$$SAY\": demo/speech/0001.wav"
	@echo 'Its mel spectrogram and alignment: demo/speech/0001.png'

# One process per core; the tests of a file stay together, since they share slow fixtures.
test: $(INSTALLED)
	$(RUN) -m pytest -n auto --dist loadfile

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

benchmark: PEER_PYTHON ?= $(PEER_VENV)/bin/python
benchmark: $(INSTALLED) $(if $(PEER_PYTHON),,$(PEER_VENV)/.installed)
	$(RUN) scripts/benchmark.py --peer_python $(PEER_PYTHON) $(BENCHMARK_FLAGS)

$(INSTALLED):
	@PYTHON='$(PYTHON)' bash scripts/install.sh '$(VENV)' requirements-dev.txt
	@touch $@

$(PEER_VENV)/.installed: requirements-benchmark.txt
	@PYTHON='$(PYTHON)' bash scripts/install.sh '$(PEER_VENV)' requirements-benchmark.txt torchaudio==2.11.0
	@touch $@

# Deletes only environments made by install.sh: VENV may name one that is used for other things too.
clean:
	for venv in '$(VENV)' '$(PEER_VENV)'; do [ ! -e "$$venv/.made-by-install" ] || rm -rf "$$venv"; done
	rm -rf data/demo data/demo.work demo .pytest_cache .ruff_cache
