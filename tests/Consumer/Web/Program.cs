using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;
using Kmem;
using Kmem.AspNetCore;
using Kmem.Extensions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Microsoft.Extensions.Options;

// What a web server uses of Kmem, without a JIT and after trimming: it serves itself and ends. Each line of output is one thing that works.
WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
{
    ["Kmem:HeapName"] = "server",
    ["Kmem:MaxBytes"] = "268435456",
    ["Kmem:PurgeDelay"] = "00:00:05",
    ["Kmem:MisusePolicy"] = "Quarantine",
});
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddKmem(builder.Configuration.GetSection("Kmem"));
builder.Services.AddKmemMemoryPool();
builder.Services.AddKmemObjectPools();
builder.Services.AddSingleton(static services => services.GetRequiredService<ObjectPoolProvider>().CreateStringBuilderPool());
builder.Services.AddHealthChecks().AddKmem();
await using WebApplication app = builder.Build();
app.MapHealthChecks("/health");
app.MapGet("/text/{count:int}", static async context =>
{
    ObjectPool<StringBuilder> builders = context.RequestServices.GetRequiredService<ObjectPool<StringBuilder>>();
    StringBuilder text = builders.Get();
    text.Append('x', int.Parse((string)context.Request.RouteValues["count"]!, System.Globalization.CultureInfo.InvariantCulture));
    await context.Response.WriteAsync(text.ToString());
    builders.Return(text);
});
await app.StartAsync();
using (HttpClient client = new() { BaseAddress = new Uri(app.Urls.First()) })
{
    Console.WriteLine($"health: {await client.GetStringAsync(new Uri("/health", UriKind.Relative))}");
    foreach (int count in new[] { 1, 10_000, 1_000_000 })
    {
        string answer = await client.GetStringAsync(new Uri($"/text/{count}", UriKind.Relative));
        Console.WriteLine($"answer: {answer.Length} characters, {answer.AsSpan().IndexOfAnyExcept('x')}");
    }
}

KmemHeap heap = app.Services.GetRequiredService<KmemHeap>();
SlabMemoryPoolFactory factory = app.Services.GetRequiredService<SlabMemoryPoolFactory>();
KmemOptions options = app.Services.GetRequiredService<IOptions<KmemOptions>>().Value;
Console.WriteLine($"heap: {heap.Name}, {options.MisusePolicy}, {options.PurgeDelay}, {(heap.GetStatistics().CommittedBytes <= 268435456 ? "within" : "above")} its limit");
Console.WriteLine($"kestrel: {(factory.Pools.Sum(static pool => pool.GetStatistics().TotalRents) > 3 ? "rents" : "does not rent")} from {string.Join(", ", factory.Pools.Select(static pool => pool.Name).Distinct())}");
await app.StopAsync();
for (int tries = 0; tries < 1000 && Rented() != 0; tries++)
{
    await Task.Delay(10);
}

Console.WriteLine($"returned: {(Rented() == 0 ? "all" : "not all")}");
heap.Validate();

long Rented() => factory.Pools.Sum(static pool => pool.GetStatistics().RentedBlocks);
