"""ONNX files: conversion, quantisation, and one order of their bytes."""
