using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using Microsoft.Extensions.Logging;

namespace Kmem.Tests.Hosting;

/// <summary>One line of a log, with its fields.</summary>
internal sealed record LogLine(string Category, LogLevel Level, EventId Event, string Text, IReadOnlyDictionary<string, object?> Fields);

/// <summary>A log that tests look at.</summary>
internal sealed class KeptLog : ILoggerProvider
{
    public ConcurrentQueue<LogLine> Lines { get; } = new();

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
    }

    private sealed class Logger(KeptLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Dictionary<string, object?> fields = state is IEnumerable<KeyValuePair<string, object?>> pairs ? pairs.ToDictionary(pair => pair.Key, pair => pair.Value) : [];
            log.Lines.Enqueue(new LogLine(category, logLevel, eventId, formatter(state, exception), fields));
        }
    }
}
