"""TFLite files: conversion, quantisation, and what makes them smaller and right."""
